import type { NativeBackend } from '../native/types.js';
import { Upscaler } from './upscaler.js';

/** A network that a run uses: what was given, or what is loaded for this run and freed with it. */
export async function openUpscaler(
  given: string | Upscaler,
  { device }: Pick<NativeBackend, 'device'>,
  signal: AbortSignal | undefined,
): Promise<{ readonly upscaler: Upscaler } & Disposable> {
  if (typeof given !== 'string') return { upscaler: given, [Symbol.dispose]() {} };
  const upscaler = await Upscaler.fromPretrained(given, { device, ...(signal && { signal }) } as object);
  return { upscaler, [Symbol.dispose]: () => upscaler.dispose() };
}
