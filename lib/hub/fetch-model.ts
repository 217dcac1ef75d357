import { existsSync } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { untilAborted } from '../aborting.js';
import { DeepCacheError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { readJson } from '../files/json.js';
import { show } from '../messages.js';
import { cachedModel, presentBytes } from './cached.js';
import { chooseFiles, type HubFile } from './choose-files.js';
import { type DownloadContext, downloadBlob, placeInSnapshot } from './download.js';
import { type Listing, listModel } from './listing.js';
import {
  checkRevision,
  checkToken,
  downloadError,
  hubCache,
  hubEndpoint,
  hubToken,
  isCommit,
  isOfflineByEnvironment,
  repositoryFolder,
} from './places.js';
import { explained, HubFailure, HubRequests } from './requests.js';

/** How far a download is. */
export interface DownloadProgress {
  /** The model's name on the Hub. */
  readonly model: string;
  /** The file that is loaded now, from the model's root. */
  readonly file: string;
  /** Bytes that are there, of all files. */
  readonly received: number;
  /** Bytes of all files. */
  readonly total: number;
}

export interface FetchOptions {
  readonly revision?: string | undefined;
  readonly variant?: string | undefined;
  readonly token?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly cacheDir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Milliseconds before a request is repeated for the first time. */
  readonly patience?: number | undefined;
}

/** Where a model of the Hub is now: its snapshot in the cache, or its one checkpoint there. */
export interface FetchedModel {
  readonly path: string;
  /** What was done, for the log. */
  readonly remark: string;
}

/**
 * Finds a model of the Hugging Face Hub in the cache that all programs share, and downloads what is missing of it.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_DOWNLOAD saying why it cannot be had and what to do; ERR_DEEPCACHE_OUTPUT when the
 * cache cannot be written to, or is full; the signal's reason.
 */
export async function fetchModel(name: string, options: FetchOptions = {}): Promise<FetchedModel> {
  const { revision = 'main', signal } = options;
  checkRevision('revision', revision);
  const repository = repositoryFolder(options.cacheDir ?? hubCache(), name);
  const isOffline = options.offline ?? isOfflineByEnvironment();
  if (!isOffline) return download(name, repository, options);
  const path = await cachedModel(repository, revision, signal);
  if (path !== undefined) return { path, remark: `${name}: ${path}` };
  const what = existsSync(repository)
    ? `has no revision ${show(revision)} in ${repository}`
    : 'was not downloaded before';
  throw downloadError(name, `${what}, and nothing is downloaded offline`);
}

async function download(name: string, repository: string, options: FetchOptions): Promise<FetchedModel> {
  const { revision = 'main', variant, signal } = options;
  const endpoint = hubEndpoint();
  const token = options.token ?? (await hubToken(signal));
  if (token !== undefined) checkToken('token', token);
  const requests = new HubRequests(endpoint, signal);
  const access = { name, endpoint, token, fetch: requests.fetch };
  try {
    const listing = await listOrCached();
    if (typeof listing === 'string') {
      return {
        path: listing,
        remark: `${name}: the Hub cannot be reached; what was downloaded before is used`,
      };
    }
    const { commit, files, open } = listing;
    const snapshot = join(repository, 'snapshots', commit);
    const state = { received: 0, total: 0 };
    const load = async (file: HubFile) => {
      const before = state.received;
      const context: DownloadContext = {
        name,
        repository,
        source: open,
        failureOf: (error) => requests.failureOf(error),
        signal,
        patience: options.patience ?? 1000,
        onBytes: (bytes) => {
          state.received = before + bytes;
          options.onProgress?.({ model: name, file: file.path, ...state });
        },
      };
      const blob = await downloadBlob(file, context);
      await placeInSnapshot(blob, join(snapshot, ...file.path.split('/')), file.size);
    };
    const index = files.find(({ path }) => path === 'model_index.json');
    if (index) await load(index);
    const parts = index && (await partsOf(join(snapshot, 'model_index.json'), signal));
    const chosen = chooseFiles(name, files, { variant, parts });
    const rest = chosen.filter((file) => file !== index);
    state.received = index?.size ?? 0;
    state.total = chosen.reduce((sum, { size }) => sum + size, 0);
    await requireRoom(name, repository, rest);
    for (const file of rest) await load(file);
    if (!isCommit(revision)) await writeRef(join(repository, 'refs', revision), commit);
    const [only] = chosen;
    const isFile = only !== undefined && chosen.length === 1 && !only.path.endsWith('.json');
    const path = isFile ? join(snapshot, ...only.path.split('/')) : snapshot;
    return { path, remark: `${name}: ${path}` };
  } catch (error) {
    signal?.throwIfAborted();
    throw inWords(error);
  }

  /** Without a network what was downloaded before is as good. */
  async function listOrCached(): Promise<Listing | string> {
    try {
      return await untilAborted(listModel(access, revision), signal);
    } catch (error) {
      const failure = requests.failureOf(error);
      const isAway = failure instanceof HubFailure && (failure.status === undefined || failure.status >= 500);
      const cached = isAway ? await cachedModel(repository, revision, signal) : undefined;
      if (cached === undefined) throw failure;
      return cached;
    }
  }

  function inWords(error: unknown): unknown {
    if (error instanceof DeepCacheError) return error;
    const failure = requests.failureOf(error);
    const { code, path } = (failure ?? {}) as NodeJS.ErrnoException;
    if (failure instanceof HubFailure) {
      return explained(failure, { name, revision, endpoint, hasToken: token !== undefined });
    }
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
      const why = code === 'ENOSPC' ? 'the disk is full' : `cannot be written (${code})`;
      const place = path ?? repository;
      return new DeepCacheError('ERR_DEEPCACHE_OUTPUT', `${place}: ${why}; ${name} is not whole`, {
        cause: failure,
      });
    }
    return downloadError(name, `cannot be downloaded: ${String((failure as Error)?.message ?? failure)}`, {
      cause: failure,
    });
  }
}

/** The parts that a model_index.json names. */
async function partsOf(path: string, signal: AbortSignal | undefined): Promise<string[]> {
  const { value } = await readJson(path, { signal });
  return Object.entries(value)
    .filter(([, entry]) => Array.isArray(entry) && typeof entry[1] === 'string')
    .map(([name]) => name);
}

async function requireRoom(name: string, repository: string, files: readonly HubFile[]): Promise<void> {
  await mkdir(repository, { recursive: true });
  const { bavail, bsize } = await statfs(repository);
  const missing = files.reduce((sum, { size }) => sum + size, 0) - (await presentBytes(repository, files));
  if (missing <= bavail * bsize) return;
  const [needed, left] = [missing, bavail * bsize].map((bytes) => `${(bytes / 1e9).toFixed(1)} GB`);
  throw new DeepCacheError(
    'ERR_DEEPCACHE_OUTPUT',
    `${repository}: ${name} takes ${needed}, the disk has ${left} left`,
  );
}

async function writeRef(path: string, commit: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, commit);
}
