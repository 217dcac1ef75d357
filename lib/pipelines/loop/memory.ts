import { untilAborted } from '../../aborting.js';
import { DeepCacheError } from '../../errors.js';
import type { Tiling } from '../../models/tiling.js';
import type { SizeOptions } from '../../models/unet.js';
import { reserveForRun } from '../../native/run-memory.js';
import type { SDParts } from '../loading/parts.js';
import type { Conductor } from './conductor.js';
import type { MemoryEstimate } from './plan.js';

/** What the autoencoder does in a run, and how. */
export interface AutoencoderUse {
  encodes: boolean;
  decodes: boolean;
  tiling: Tiling | undefined;
  signal: AbortSignal | undefined;
}

/** What a run needs, computed on a thread. Sizes are latent pixels, `batch` counts the outputs of guidance. */
export async function estimateMemory(
  { unet, vae }: Pick<SDParts, 'unet' | 'vae'>,
  size: SizeOptions & Record<'height' | 'width', number>,
  { encodes, decodes, ...options }: AutoencoderUse,
): Promise<MemoryEstimate> {
  // A batch is encoded and decoded one by one.
  const one = { height: size.height, width: size.width };
  return {
    unet: await unet.runBytes(size, options),
    vae: Math.max(
      encodes ? await vae.encodeBytes(one, options) : 0,
      decodes ? await vae.decodeBytes(one, options) : 0,
    ),
  };
}

/**
 * Refuses a run that does not fit, before it takes minutes to find out. What fits is the run's until it ends: others
 * that begin meanwhile do not count on it.
 *
 * @param conductor of runs that go on meanwhile: the run waits for their memory.
 * @throws DeepCacheError ERR_DEEPCACHE_OUT_OF_MEMORY with the need and what there is.
 */
export async function requireMemory(
  components: Pick<SDParts, 'backend' | 'unet'>,
  need: MemoryEstimate,
  conductor?: Conductor,
  signal?: AbortSignal,
): Promise<void> {
  const { unet, vae, previews = 0, pictures = 0 } = need;
  const bytes = unet + vae + previews + pictures;
  // What the U-Net holds from its last run is reused or freed; of what runs go on with, the arena alone is shared.
  const heldBytes = () => {
    const { arena, buffers } = components.unet.memory();
    return Math.min(conductor ? arena : arena + buffers, unet);
  };
  while (!reserveForRun(components.backend, bytes - heldBytes())) {
    const freed = conductor?.memoryFreed();
    if (!freed) throw tooLittle(need, components.backend.availableMemory() + heldBytes());
    await untilAborted(freed, signal);
  }
  conductor?.holdMemory();
}

function tooLittle(
  { unet, vae, previews = 0, pictures = 0 }: MemoryEstimate,
  available: number,
): DeepCacheError {
  const gib = (value: number) => `${(value / 2 ** 30).toFixed(2)} GiB`;
  return new DeepCacheError(
    'ERR_DEEPCACHE_OUT_OF_MEMORY',
    `This run needs ${gib(unet + vae + previews + pictures)} (${gib(unet)} for the U-Net, ${gib(vae)} for the autoencoder` +
      `${previews > 0 ? `, ${gib(previews)} for previews` : ''}` +
      `${pictures > 0 ? `, ${gib(pictures)} for pictures` : ''}), ` +
      `${gib(available)} are available; use a smaller size, fewer images or vaeTiling`,
  );
}
