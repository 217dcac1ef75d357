import { FloatTensor } from '../../tensor.js';
import { conditionsOf } from '../inputs/options.js';
import type { SDParts } from '../loading/parts.js';
import { contextOf, encodePrompts, readPrompts } from './prompt.js';
import type { TextModel } from './text-model.js';

/** Stable Diffusion 1.x and 2.x: one text encoder, whose states are the context. */
export const sdText: TextModel<SDParts> = {
  encoders: ({ textEncoder }) => [textEncoder],
  check: () => {},
  settings: () => ({}),
  async read(parts, options, note) {
    const tokens = await readPrompts(parts, options, options.guided, note);
    const { length } = tokens;
    return {
      length,
      embeddings: tokens.reader.inversions,
      async encode() {
        const embeds = await encodePrompts(tokens, options);
        return {
          context: await contextOf(embeds, conditionsOf(options), options.signal),
          contextLength: length,
        };
      },
    };
  },
  async encodePrompt(parts, options) {
    const tokens = await readPrompts(parts, options, options.guided, () => {});
    const { positive, negative, length } = await encodePrompts(tokens, options);
    const shape = [options.batch, length, parts.unet.contextWidth];
    return {
      promptEmbeds: new FloatTensor(positive, shape),
      ...(negative && { negativePromptEmbeds: new FloatTensor(negative, shape) }),
    };
  },
};
