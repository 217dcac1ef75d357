import type { CallGuidance } from '../deepcache/programs.js';
import { invalidArgument } from '../errors.js';
import { crossAttentions } from '../ip-adapter/read.js';
import { show } from '../messages.js';
import type { UNetModel } from '../models/unet.js';
import type { Guidance, PerSample } from '../schedulers/table.js';

// Perturbed-attention guidance (Ahn et al. 2024): a third output of the U-Net, whose self attention in some layers is
// the identity, is what pictures are moved away from.

/** What a run says of it, in diffusers' names. */
export interface PerturbedOptions {
  readonly pagScale?: number | undefined;
  readonly pagAdaptiveScale?: number | undefined;
  readonly pagAppliedLayers?: string | readonly string[] | undefined;
}

/** Whether a run has it. */
export const perturbs = ({ pagScale = 0 }: PerturbedOptions): boolean => pagScale > 0;

/** Its scale at a timestep; diffusers: _get_pag_scale. */
function scaleAt({ pagScale = 0, pagAdaptiveScale = 0 }: PerturbedOptions, timestep: number): number {
  return Math.max(0, pagScale - pagAdaptiveScale * (1000 - timestep));
}

/**
 * Guidance with the perturbed output, the last one: u + g (c - u) + p (c - e), without a negative prompt c + p (c - e).
 * Where p is 0 the output is left out.
 *
 * @param guidance without it; undefined for runs that have no other.
 */
export function withPerturbed(
  options: PerturbedOptions,
  timestep: number,
  guidance: Guidance | undefined,
): CallGuidance {
  const by = scaleAt(options, timestep);
  if (!guidance) return by > 0 ? { scale: -by, rescale: 0 } : { halves: 'unconditional' };
  if (by === 0) return { ...guidance, halves: 'both' };
  return { ...guidance, scale: plus(guidance.scale, by), third: -by };
}

const plus = (a: PerSample, b: number): PerSample =>
  typeof a === 'number' ? a + b : a.map((value) => value + b);

const USUAL_LAYERS = 'mid';

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what is no regular expression, or no list of such. */
export function checkLayers(name: string, value: unknown): void {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw invalidArgument(name, 'must not be an empty list');
  for (const layer of list) expressionOf(name, layer);
}

function expressionOf(name: string, layer: unknown): RegExp {
  if (typeof layer === 'string' && layer !== '' && layer.length <= 200) {
    try {
      return new RegExp(layer);
    } catch {}
  }
  throw invalidArgument(
    name,
    `must be part of a module's name or a regular expression, such as 'mid' or 'down_blocks.2', got ${show(layer)}`,
  );
}

/**
 * The transformer blocks whose self attention is perturbed, by their places among the U-Net's cross attentions.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a layer that names none.
 */
export function perturbedLayers(
  { pagAppliedLayers = USUAL_LAYERS }: PerturbedOptions,
  unet: UNetModel,
): number[] {
  const names = crossAttentions(unet.weightShapes()).map(({ name }) => name.replace(/attn2$/, 'attn1'));
  const found = new Set<number>();
  for (const layer of [pagAppliedLayers].flat()) {
    const expression = expressionOf('pagAppliedLayers', layer);
    const places = [...names.keys()].filter((place) => expression.test(names[place] as string));
    if (places.length === 0) {
      throw invalidArgument(
        'pagAppliedLayers',
        `names ${show(layer)}, which is in no self attention of this U-Net; the first one is ${names[0] ?? 'none'}`,
      );
    }
    for (const place of places) found.add(place);
  }
  return [...found].sort((a, b) => a - b);
}
