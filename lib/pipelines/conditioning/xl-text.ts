import { invalidArgument } from '../../errors.js';
import { requireShapes, textList } from '../../options/checks.js';
import { inSlices } from '../../slices.js';
import { FloatTensor, joined } from '../../tensor.js';
import type { XLParts } from '../loading/parts.js';
import { readXLPrompt } from './prompt-xl.js';
import type { TextModel, XLEncodedPrompt } from './text-model.js';
import { timeIds, XL_SIZE_OPTIONS } from './time-ids.js';

/** SDXL: two text encoders side by side, the pooled output of the last one, and numbers about sizes. */
export const xlText: TextModel<XLParts, XLEncodedPrompt> = {
  encoders: ({ text }) => text.map(({ encoder }) => encoder),
  check(options, { pooledWidth }) {
    const { promptEmbeds, negativePromptEmbeds, prompts, negativePrompts } = options;
    for (const [name, beside] of [
      ['pooledPromptEmbeds', promptEmbeds],
      ['negativePooledPromptEmbeds', negativePromptEmbeds],
    ] as const) {
      if (!beside) continue;
      if (!options[name]) throw invalidArgument(name, 'is missing: it goes with the other embeddings');
      requireShapes(options, { [name]: [beside.shape[0] as number, pooledWidth] });
    }
    if (prompts) {
      textList('prompt2', options.prompt2, prompts.length);
      textList('negativePrompt2', options.negativePrompt2, negativePrompts?.length ?? 1);
    }
  },
  settings(options, prompt) {
    const text = (value: string | readonly string[] | undefined) =>
      typeof value === 'string' ? value : (value?.[prompt] ?? value?.[0]);
    const sizes = XL_SIZE_OPTIONS.filter((name) => options[name] !== undefined);
    return {
      'Prompt 2': text(options.prompt2),
      'Negative prompt 2': text(options.negativePrompt2),
      'Size conditions':
        sizes.length > 0 && JSON.stringify(Object.fromEntries(sizes.map((name) => [name, options[name]]))),
    };
  },
  async read(parts, options, note) {
    const { width, height, batch, guided } = options;
    const prompt = await readXLPrompt(parts, options, note);
    const ids = timeIds(options, { width, height, aesthetic: parts.requiresAestheticsScore });
    const both = (halves: Float32Array[]) => inSlices(joined(halves), options.signal);
    const halves = guided ? [ids.negative, ids.positive] : [ids.positive];
    return {
      length: prompt.length,
      embeddings: prompt.embeddings,
      encode: async () => {
        const { positive, negative } = await prompt.encode();
        const embeds = negative ? [negative, positive] : [positive];
        return {
          context: await both(embeds.map(({ states }) => states)),
          contextLength: prompt.length,
          textEmbeds: await both(embeds.map(({ pooled }) => pooled)),
          timeIds: Float32Array.from(
            halves.flatMap((half) => Array.from({ length: batch }, () => half).flat()),
          ),
        };
      },
    };
  },
  async encodePrompt(parts, options) {
    const prompt = await readXLPrompt(parts, options, () => {});
    const { positive, negative } = await prompt.encode();
    const { batch } = options;
    const states = (data: Float32Array) =>
      new FloatTensor(data, [batch, prompt.length, parts.unet.contextWidth]);
    const pooled = (data: Float32Array) => new FloatTensor(data, [batch, data.length / batch]);
    return {
      promptEmbeds: states(positive.states),
      pooledPromptEmbeds: pooled(positive.pooled),
      ...(negative && {
        negativePromptEmbeds: states(negative.states),
        negativePooledPromptEmbeds: pooled(negative.pooled),
      }),
    };
  },
};
