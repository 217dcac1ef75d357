import { bytesOf, type ImageInput, type LoadedImages, loadImages, toRgb } from '../../images/input.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { inSlices } from '../../slices.js';
import { countOf, joined } from '../../tensor.js';
import { encodeModes } from './encode-image.js';
import { checkImageCount, noteSize, wholeLatents } from './image-to-image.js';
import type { TextRunOptions } from './options.js';
import type { RunKind, RunStart, StartContext } from './run-kind.js';
import { startNoise } from './text-to-image.js';

export interface EditOptions extends OptionsOf<'pix2pix'> {
  image: ImageInput;
}

/** How closely to follow the picture; below 1 no guidance follows it. */
export const IMAGE_GUIDANCE = 1.5;

/**
 * A picture that a prompt says how to change (InstructPix2Pix, Brooks et al. 2023): from noise, with the picture's
 * latents as further channels of the U-Net's input.
 */
export function editing(): RunKind<EditOptions, LoadedImages> {
  return {
    gives: { channels: (latents) => [2 * latents] },
    encodesImages: true,
    isSizedByImage: true,
    load: ({ image, signal }) => loadImages('image', image, 3, signal),
    size: (image, { scale }) => wholeLatents(image, scale),
    span: () => ({}),
    guide: guidanceOfEdits,
    settings: ({ imageGuidanceScale = IMAGE_GUIDANCE }) => ({ 'Image CFG scale': imageGuidanceScale }),
    bytes: (image, { width, height }) => bytesOf(image, width, height, 3),
    async prepare(image, options, note) {
      const { width, height, batch, signal } = options;
      checkImageCount('image', image, batch);
      noteSize('image', image, options, note);
      const pixels = await toRgb('image', image, width, height, signal);
      return {
        async start(context) {
          const latents = await noiseOf(context);
          const shown = await encodeModes(context.vae, pixels, options);
          // As the outputs are: the negative prompt and the prompt with the picture, and neither of them.
          const hidden = new Float32Array(shown.length);
          const rows = options.guided ? [shown, shown, hidden] : [shown];
          return { latents, constant: await inSlices(joined(rows), signal) };
        },
      };
    },
  };
}

/**
 * Of the outputs e0 (negative prompt and picture), e1 (prompt and picture) and e2 (negative prompt alone) the reference
 * makes e2 + imageScale * (e0 - e2) + scale * (e1 - e0), which is e0 + scale * (e1 - e0) + (1 - imageScale) * (e2 - e0).
 */
function guidanceOfEdits({ guided, imageGuidanceScale = IMAGE_GUIDANCE }: TextRunOptions) {
  return guided && imageGuidanceScale >= 1
    ? { guided, guidanceThird: 1 - imageGuidanceScale }
    : { guided: false };
}

async function noiseOf({ compiled, noise, options }: StartContext): Promise<RunStart['latents']> {
  const [, ...each] = options.latent;
  return startNoise(options, compiled.initNoiseSigma, () => noise.draw(countOf(each), options.signal));
}
