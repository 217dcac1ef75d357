import { PROMPTED, TEXT, XL } from '../families.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

const size = (help: string, fallback: string) => option({ kind: kinds.pair, families: XL, help, fallback });
const score = (help: string, fallback: string) =>
  option({ kind: kinds.real(0, 100), families: XL, help, fallback });

/** What pictures and videos from text are to show, and what else conditions the U-Net. */
export const TEXT_OPTIONS = {
  /** One prompt or a batch of them; for a video a single one. Not together with `promptEmbeds`. */
  prompt: option({
    kind: kinds.texts,
    families: TEXT,
    help: 'what to show: text, or a list of texts',
    required: Object.fromEntries(TEXT.map((family) => [family, ''])),
    instead: 'promptEmbeds',
    flag: {
      spelling: '-p, --prompt <text>',
      group: 'make',
      help: 'what to show; repeat it for several pictures; - reads it from stdin',
    },
  }),
  /** What the picture should not show; one for all prompts, or one each. Default: the empty prompt. */
  negativePrompt: option({
    kind: kinds.texts,
    families: TEXT,
    help: 'what not to show; one for all prompts, or one each',
    fallback: "''",
    flag: { spelling: '-n, --negative-prompt <text>', group: 'make' },
  }),
  /** Encoded prompts [prompts, tokens, width], and the negative ones that go with them. */
  promptEmbeds: option({
    kind: kinds.tensor('prompts', 'tokens', 'width'),
    families: TEXT,
    help: 'encoded prompts instead of texts, see `pipe.encodePrompt()`',
    excludes: ['prompt'],
    flag: {
      spelling: '--prompt-embeds <file>',
      group: 'tensor',
      help: 'encoded prompts instead of --prompt: [prompts, tokens, width]',
    },
  }),
  negativePromptEmbeds: option({
    kind: kinds.tensor('prompts', 'tokens', 'width'),
    families: TEXT,
    help: 'the same for what not to show',
    excludes: ['negativePrompt'],
    needs: { name: 'promptEmbeds', why: 'of the same shape' },
    flag: { spelling: '--negative-prompt-embeds <file>', group: 'tensor' },
  }),
  /** Layers of the text encoder that are left out at the end. Default 0. */
  clipSkip: option({
    kind: kinds.clipSkip,
    families: TEXT,
    help: 'last layers of the text encoder to skip',
    fallback: '0',
    flag: { spelling: '--clip-skip <n>', group: 'how' },
  }),
  /**
   * Reads prompts of any length, in blocks of 75 tokens that are encoded each for itself; the word BREAK in capitals
   * starts the next one. Negative prompts get as many blocks. Default false: what is beyond 75 tokens is cut off, as
   * diffusers does, and the result's notes say so.
   */
  longPrompts: option({
    kind: kinds.flag,
    families: TEXT,
    help: 'read more than 75 tokens, in blocks; BREAK starts the next',
    fallback: 'false',
    flag: { spelling: '--long-prompts', group: 'how' },
  }),
  /**
   * Reads brackets as weights, by the rules of AUTOMATIC1111's web UI: `(word)` counts 1.1 times as much, `[word]` 1.1
   * times less, `(word:1.3)` 1.3 times as much, nested ones multiply, and `\\(` is a bracket. Default false: brackets
   * are text, as in diffusers.
   */
  promptWeighting: option({
    kind: kinds.flag,
    families: TEXT,
    help: 'read (word:1.3), (word) and [word] as weights',
    fallback: 'false',
    flag: { spelling: '--prompt-weighting', group: 'how' },
  }),
  /**
   * Reads `<lora:name:0.8>` in prompts: the adapter of the name, which `loadLora` gave it, counts so much in this run, and
   * as before in the next ones. `<lora:name:te=0.5:unet=0.8>` tells text encoders and U-Net apart. All prompts of a run
   * must name the same. Such a run has the models to itself. Default false: it is text, as in diffusers.
   */
  loraSyntax: option({
    kind: kinds.flag,
    families: PROMPTED,
    help: 'read <lora:name:0.8> in prompts',
    fallback: 'false',
  }),
  /** For the second text encoder; `prompt` and `negativePrompt` by default. */
  prompt2: option({
    kind: kinds.texts,
    families: XL,
    help: 'SDXL: for the second text encoder; default: the prompt',
    flag: { spelling: '--prompt-2 <text>', group: 'how' },
  }),
  negativePrompt2: option({
    kind: kinds.texts,
    families: XL,
    help: 'the same for what not to show',
    flag: { spelling: '--negative-prompt-2 <text>', group: 'how' },
  }),
  /** Pooled embeddings [prompts, width] that go with promptEmbeds and negativePromptEmbeds. */
  pooledPromptEmbeds: option({
    kind: kinds.tensor('prompts', 'width'),
    families: XL,
    help: 'pooled embeddings that go with promptEmbeds',
    needs: { name: 'promptEmbeds', why: 'that it goes with' },
  }),
  negativePooledPromptEmbeds: option({
    kind: kinds.tensor('prompts', 'width'),
    families: XL,
    help: 'the same for negativePromptEmbeds',
    needs: { name: 'negativePromptEmbeds', why: 'that it goes with' },
  }),
  /** [height, width] of the picture before it was cut to size. Default: the result's. */
  originalSize: size('of the training picture before it was cut', "the result's"),
  /** [top, left] of the cut. Default [0, 0]. */
  cropsCoordsTopLeft: size('of the cut', '[0, 0]'),
  /** [height, width] after it. Default: the result's. */
  targetSize: size('after the cut', "the result's"),
  /** The same for the negative half of the guidance. */
  negativeOriginalSize: size('the same for what not to show', 'originalSize'),
  negativeCropsCoordsTopLeft: size('the same for what not to show', '[0, 0]'),
  negativeTargetSize: size('the same for what not to show', 'targetSize'),
  /** Refiner: how much people liked it, 0 to 10. Default 6, and 2.5 for the negative half. */
  aestheticScore: score('refiner: how much people liked it, 0 to 10', '6'),
  negativeAestheticScore: score('the same for what not to show', '2.5'),
};
