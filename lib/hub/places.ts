import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { isMissing, readSmallFile } from '../files/read.js';
import { show } from '../messages.js';

// Names of models, the cache and the settings of the Hugging Face Hub, as its own programs have them.

/** organisation/name */
const NAME = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
/** What looks like a name, but is a file that is not there. */
const WEIGHTS = /\.(?:safetensors|ckpt|pth?|bin|gguf)$/i;
const PAGE = /^https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\/([^/?#]+\/[^/?#]+).*$/;
const COMMIT = /^[0-9a-f]{40}$/;
/** Branches and tags: no part of git's own syntax, nothing that leads out of a folder. */
const REVISION = /^(?!\/)(?!.*(?:\.\.|\/\/|@\{|\/$|\.$))[\w./-]{1,200}$/;

/** The name of a model of the Hub, or of the address of its page; undefined for anything else. */
export function hubName(given: string): string | undefined {
  const name = given.replace(PAGE, '$1');
  return NAME.test(name) && !name.includes('..') && !WEIGHTS.test(name) ? name : undefined;
}

export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what is no name of a branch, a tag or a commit. */
export function checkRevision(name: string, value: unknown): void {
  if (typeof value === 'string' && REVISION.test(value)) return;
  throw invalidArgument(name, `must be a branch, a tag or a commit, got ${show(value)}`);
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, without the token. */
export function checkToken(name: string, value: unknown): void {
  if (typeof value === 'string' && /^hf_\w+$/.test(value)) return;
  throw invalidArgument(name, 'is none of the Hugging Face Hub: those begin with hf_');
}

/** Where the programs of the Hub keep what they download. */
export function hubCache(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env;
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(hubHome(), 'hub');
}

function hubHome(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
}

/** The folder of a model in a cache. */
export function repositoryFolder(cache: string, name: string): string {
  return join(resolve(cache), `models--${name.replace('/', '--')}`);
}

/** Where the Hub is: HF_ENDPOINT, or huggingface.co. */
export function hubEndpoint(): string {
  const given = process.env.HF_ENDPOINT || 'https://huggingface.co';
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
    throw invalidArgument('HF_ENDPOINT', `must be an address, got ${show(given)}`);
  }
  return given.replace(/\/+$/, '');
}

/** Whether the environment forbids requests. */
export function isOfflineByEnvironment(): boolean {
  return /^(1|true|yes|on)$/i.test(process.env.HF_HUB_OFFLINE ?? '');
}

/** The token of the environment, or the one that `hf auth login` left. */
export async function hubToken(signal?: AbortSignal): Promise<string | undefined> {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH } = process.env;
  const given = HF_TOKEN || HUGGING_FACE_HUB_TOKEN;
  if (given) return given.trim();
  try {
    const bytes = await readSmallFile(HF_TOKEN_PATH || join(hubHome(), 'token'), 4096, { signal });
    return bytes.toString('utf8').trim() || undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The error for a model of the Hub that cannot be had. */
export function downloadError(name: string, message: string, options?: ErrorOptions): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_DOWNLOAD', `${name}: ${message}`, options);
}
