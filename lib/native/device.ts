import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { native } from './binding.js';
import { startInRun } from './run-memory.js';
import type { DeviceInfo, Job, NativeBackend } from './types.js';

/** `auto` takes the first GPU that is usable, else the CPU. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** Where a model computes. */
export interface DeviceOptions {
  /** By default the first GPU that is usable, else the CPU. */
  device?: Device;
  /** CPU threads; by default one for each core that the process may use. */
  threads?: number;
  /**
   * On a GPU: the type of activations and weights, fp16 unless 'bf16'. The CPU computes in fp32, with 'bf16' in products
   * of that type (docs/bf16.md): several times as fast on processors with AMX, slower than fp32 on those without any such instructions,
   * with half of the memory for weights on any. 'fp8': most products of U-Nets are of e4m3, the rest of fp16 on a GPU, which
   * must be of sm_89 or newer, and of fp32 on the CPU (docs/fp8.md).
   */
  dtype?: 'auto' | 'fp32' | 'fp16' | 'bf16' | 'fp8';
  /**
   * On a GPU: the first run of a size measures which tiles are the fastest, and keeps that for all later ones in
   * `DEEPCACHE_CACHE_DIR` or the user's cache folder. Default false: what was measured before, else a model of the
   * time, decides. Same pictures, up to the order of sums.
   */
  autotune?: boolean;
}

/** Every backend: usable, or the reason why not. */
export function devices(): DeviceInfo[] {
  return native().devices();
}

// Pipelines on the CPU share a backend, and so its threads; on a GPU each has a stream of its own.
const backends = new Map<string, NativeBackend>();

/**
 * The backend for the options.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_BACKEND_UNAVAILABLE with the reason, ERR_DEEPCACHE_INVALID_ARGUMENT.
 */
export function openBackend(options: DeviceOptions): NativeBackend {
  const { device = 'auto', threads = 0, dtype = 'auto', autotune = false } = options;
  checkThreads('threads', threads);
  checkDevice('device', device);
  const chosen = device === 'auto' ? bestDevice() : device;
  if (dtype === 'fp32' && chosen !== 'cpu') {
    throw invalidArgument('dtype', `must be 'fp16', 'bf16' or 'fp8' on ${chosen}, got 'fp32'`);
  }
  const type = dtype === 'bf16' || dtype === 'fp8' ? dtype : 'fp16';
  const key = `${threads} ${type}`;
  const known = chosen === 'cpu' ? backends.get(key) : undefined;
  if (known) return known;
  const backend = new (native().Backend)({ device: chosen, threads, dtype: type, autotune });
  if (chosen === 'cpu') backends.set(key, backend);
  return backend;
}

/** Kernels that multiply bf16 by instructions of their own. */
const BF16_ISAS = ['amx', 'avx512_bf16', 'neon_bf16'];

/** What there is to say about the options' choice on this machine. */
export function remarkOn(options: DeviceOptions): string | undefined {
  const { device = 'auto', dtype } = options;
  if (dtype !== 'bf16' || (device === 'auto' ? bestDevice() : device) !== 'cpu') return undefined;
  const { isa } = openBackend(options);
  if (BF16_ISAS.includes(isa)) return undefined;
  return "this processor has no instructions for bf16: weights take half of the memory, but dtype 'fp32' is faster";
}

/** Throws unless it can name a device; whether there is one is another question. */
export function checkDevice(name: string, device: unknown): void {
  if (typeof device === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(device)) return;
  throw invalidArgument(name, `must be 'auto', 'cpu', 'cuda' or 'cuda:N', got ${show(device)}`);
}

export function checkThreads(name: string, threads: unknown): void {
  if (Number.isInteger(threads) && (threads as number) >= 0 && (threads as number) <= 1024) return;
  throw invalidArgument(name, `must be a whole number from 0 (all cores) to 1024, got ${show(threads)}`);
}

function bestDevice(): string {
  return devices().find(({ device, available }) => available && device.startsWith('cuda'))?.device ?? 'cpu';
}

/**
 * Waits for a native job; an abort of the signal cancels it and rejects with the signal's reason.
 */
export async function finish<T>(start: () => Job<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const job = startInRun(start);
  const cancel = () => job.cancel();
  signal?.addEventListener('abort', cancel);
  try {
    return await job.promise;
  } catch (error) {
    const isOurs = error instanceof DeepCacheError;
    if (isOurs && signal?.aborted && error.code === 'ERR_DEEPCACHE_ABORTED') throw signal.reason;
    // It was made in a turn of the event loop in which nobody had called anything.
    if (isOurs) Error.captureStackTrace(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
