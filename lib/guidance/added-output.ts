import { invalidArgument } from '../errors.js';
import type { UNetModel } from '../models/unet.js';
import type { DenoiseRequest } from '../native/types.js';
import { inSlices } from '../slices.js';
import { joined } from '../tensor.js';
import { type PerturbedOptions, perturbedLayers, perturbs } from './perturbed.js';
import { degrades, requireSelfAttention, type SelfAttentionOptions } from './self-attention.js';

/** An output of the U-Net that is not of a condition of its own. */
export interface AddedOutput {
  /** The one whose conditions it has. */
  readonly like: 'first' | 'last';
  /** What the loop gets besides. */
  readonly own: Pick<DenoiseRequest, 'perturbed'>;
}

type Options = PerturbedOptions & SelfAttentionOptions & { readonly guided: boolean };

/** Whether a run has one. */
export const addsOutput = (options: PerturbedOptions & SelfAttentionOptions): boolean =>
  perturbs(options) || degrades(options);

/**
 * The output that a run adds to those of its conditions.
 *
 * @param guessing what makes a network of the run guess, if any does: it does not see the first output's samples.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what does not go with it, or is not in the U-Net.
 */
export function addedOutput(
  options: Options,
  unet: UNetModel,
  guessing: string | undefined,
): AddedOutput | undefined {
  if (perturbs(options)) {
    if (guessing !== undefined && !options.guided) {
      throw invalidArgument(guessing, 'goes together with pagScale in runs with guidance only');
    }
    return { like: 'last', own: { perturbed: perturbedLayers(options, unet) } };
  }
  if (!degrades(options)) return undefined;
  if (guessing !== undefined) throw invalidArgument(guessing, 'does not go together with sagScale');
  requireSelfAttention(unet);
  return { like: 'first', own: {} };
}

/** Inputs of which each output has its own rows. */
const OF_OUTPUTS = [
  'context',
  'textEmbeds',
  'timeIds',
  'timestepCond',
  'classLabels',
  'imageEmbeds',
  'constant',
] as const;

/**
 * What the loop gets, with rows for one more output, which are those of the first or of the last one.
 *
 * @param outputs without it.
 */
export async function withOutput<Inputs extends Partial<DenoiseRequest>>(
  inputs: Inputs,
  { like }: Pick<AddedOutput, 'like'>,
  outputs: number,
  signal: AbortSignal | undefined,
): Promise<Inputs> {
  const more = (values: Float32Array) => {
    const each = values.length / outputs;
    const first = like === 'first' ? 0 : values.length - each;
    return inSlices(joined([values, values.subarray(first, first + each)]), signal);
  };
  const out: { [name: string]: unknown } = { ...inputs };
  for (const name of OF_OUTPUTS) {
    const values = inputs[name];
    if (values) out[name] = await more(values as Float32Array);
  }
  const { imagePrompts } = inputs;
  if (imagePrompts) {
    out.imagePrompts = await Promise.all(
      imagePrompts.map(async (prompt) => ({ ...prompt, tokens: await more(prompt.tokens) })),
    );
  }
  return out as Inputs;
}
