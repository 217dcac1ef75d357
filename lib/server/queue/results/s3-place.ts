import { invalidArgument } from '../../../errors.js';
import { unknownName } from '../../../names.js';

/** Where pictures are in S3, or in what speaks its protocol. */
export interface S3Place {
  readonly bucket: string;
  /** What names of objects begin with: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Undefined: AWS, or what the environment says. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** For people. */
  readonly shown: string;
}

const BUCKET = /^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/;
const PREFIX = /^[\w!*'().-]+(\/[\w!*'().-]+)*\/?$/;

/**
 * A place as text, `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME]`; undefined for what is none.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming `results`, and never quoting it: there may be a secret in it,
 * which does not belong there.
 */
export function s3Place(text: string): S3Place | undefined {
  if (!/^s3:/i.test(text)) return undefined;
  // They would be resolved.
  const hasDots = /\/(\.|%2e)+(?=[/?#]|$)/i.test(text);
  const url = URL.canParse(text) && !hasDots ? new URL(text) : undefined;
  if (!url || !BUCKET.test(url.host))
    throw bad(
      'must be s3://BUCKET/PREFIX, with the name of a bucket: 3 to 63 small letters, digits, . and -',
    );
  if (url.username !== '' || url.password !== '')
    throw bad('must hold no keys: they are read from the environment, as those of other programs for S3');
  const prefix = url.pathname.replace(/^\/|\/$/g, '');
  if (prefix !== '' && !PREFIX.test(prefix))
    throw bad("must have a prefix of letters, digits, slashes and !*'().-_ behind the bucket");
  for (const name of url.searchParams.keys())
    if (!['endpoint', 'region'].includes(name))
      throw bad(`has ${JSON.stringify(name)} behind the ?; ${unknownName(name, ['endpoint', 'region'])}`);
  if (url.hash !== '') throw bad('must not have a #');
  const region = url.searchParams.get('region') ?? undefined;
  if (region !== undefined && !/^[\w-]{1,40}$/.test(region)) throw bad('must have the name of a region');
  const endpoint = endpointOf(url.searchParams.get('endpoint') ?? undefined);
  const at = endpoint === undefined ? '' : ` at ${endpoint}`;
  return {
    ...{ bucket: url.host, prefix: prefix === '' ? '' : `${prefix}/`, endpoint, region },
    shown: `s3://${url.host}${prefix === '' ? '' : `/${prefix}`}${at}`,
  };
}

function endpointOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== ''
  )
    throw bad('must have an endpoint such as http://127.0.0.1:9000, without a user or a password');
  return url.href.replace(/\/$/, '');
}

const bad = (message: string) => invalidArgument('results', message);
