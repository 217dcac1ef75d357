import { DeepCacheError } from '../errors.js';
import { show } from '../messages.js';
import type { HubFile } from './choose-files.js';
import type { Source } from './download.js';
import { downloadError, isCommit } from './places.js';

type Library = typeof import('@huggingface/hub');

interface Access {
  readonly name: string;
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
}

export interface Listing {
  /** The commit that the revision stands for. */
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly open: Source;
}

/** Models have a few dozen. */
const MOST_FILES = 10_000;
/** Names that are safe below a folder, whatever the system: the library refuses less. */
const PATH = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\\:*?"<>|\p{C}]{1,200}(?:\/[^/\\:*?"<>|\p{C}]{1,200}){0,16}$/u;
const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** What the Hub has of a model, and how its files are read. What it says is not trusted. */
export async function listModel(
  { name, endpoint, token, fetch }: Access,
  revision: string,
): Promise<Listing> {
  const hub = await loadLibrary();
  const access = { hubUrl: endpoint, fetch, ...(token !== undefined && { accessToken: token }) };
  const repo = { type: 'model', name } as const;
  const { sha } = await hub.modelInfo({ name, revision, additionalFields: ['sha'], ...access });
  if (typeof sha !== 'string' || !isCommit(sha))
    throw downloadError(name, `${endpoint} names no commit: ${show(sha)}`);
  const files: HubFile[] = [];
  for await (const entry of hub.listFiles({ repo, revision: sha, recursive: true, ...access })) {
    if (entry.type !== 'file') continue;
    files.push(checked(name, entry));
    if (files.length > MOST_FILES) throw downloadError(name, `has more than ${MOST_FILES} files`);
  }
  const open: Source = async ({ path, size, hash }, start) => {
    const place = path.split('/').map(encodeURIComponent).join('/');
    const downloadInfo = { size, etag: hash, url: `${endpoint}/${name}/resolve/${sha}/${place}` };
    // By plain requests: their answers are the file's own bytes, from any place on.
    const blob = await hub.downloadFile({ repo, path, revision: sha, xet: false, downloadInfo, ...access });
    if (!blob) throw downloadError(name, `lacks ${show(path)}, which it lists`);
    return (start > 0 ? blob.slice(start, size) : blob).stream() as ReadableStream<Uint8Array>;
  };
  return { commit: sha, files, open };
}

function checked(
  name: string,
  { path, size, oid, lfs }: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } },
): HubFile {
  if (typeof path !== 'string' || !PATH.test(path)) {
    throw downloadError(name, `lists a file of a name that is not taken: ${show(path)}`);
  }
  const hash = lfs?.oid ?? oid;
  const bytes = lfs?.size ?? size;
  const isLarge = lfs !== undefined && lfs !== null;
  const isKnown = typeof hash === 'string' && HASH.test(hash) && hash.length === (isLarge ? 64 : 40);
  if (!isKnown || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw downloadError(name, `lists ${show(path)} without its size and its checksum`);
  }
  return { path, size: bytes, hash, isLarge };
}

let library: Promise<Library> | undefined;

/** Not before it is needed: most models are folders. */
async function loadLibrary(): Promise<Library> {
  library ??= import('@huggingface/hub');
  try {
    return await library;
  } catch (cause) {
    library = undefined;
    const message =
      'the package @huggingface/hub is missing, which downloads models: npm install @huggingface/hub';
    throw new DeepCacheError('ERR_DEEPCACHE_DOWNLOAD', message, { cause });
  }
}
