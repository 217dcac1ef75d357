import { checkHiresFix, type HiresFix } from '../../hires/options.js';
import { checkUpscale, MOST_UPSCALED, type UpscaleGiven } from '../../upscale/option.js';
import { ALL, FROM_IMAGE, INPAINT, LATENT, PROMPTED, TEXT, XL } from '../families.js';
import * as json from '../json.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';
import { MAX_IMAGES } from './run.js';

const hiresForm = json.object({
  scale: json.real(1, 8),
  strength: json.real(0, 1),
  steps: json.whole(1, 100_000),
  upscaler: json.name,
  antialias: json.flag,
  seed: json.seed,
});
const side = json.whole(1, MOST_UPSCALED);
const tile = json.whole(0, MOST_UPSCALED);
const upscaleFields = { upscaler: json.name, scale: json.real(1, 16), width: side, height: side };
/** Networks by the names that the server knows them by. */
const upscaleForm = {
  anyOf: [json.name, json.object({ ...upscaleFields, tile, tilePad: tile }, ['upscaler'])],
};

/** What is made, and from which pictures. */
export const PICTURE_OPTIONS = {
  /** Pixels, multiples of 8 (videos: 64). Default: what the model was trained on; videos 1024 x 576. */
  width: option({
    kind: kinds.pixels,
    families: [...TEXT, 'svd'],
    help: 'pixels, a multiple of 8 (videos from pictures: 64)',
    fallback: "the model's",
    flag: { spelling: '--width <pixels>', group: 'make' },
  }),
  height: option({
    kind: kinds.pixels,
    families: [...TEXT, 'svd'],
    help: 'the same',
    fallback: "the model's",
    flag: { spelling: '--height <pixels>', group: 'make' },
  }),
  /** Images, or videos, of each prompt or class, 1 by default. */
  numImages: option({
    kind: kinds.count(MAX_IMAGES),
    families: [...PROMPTED, 'ldm'],
    help: 'images or videos of each prompt',
    fallback: '1',
    flag: { spelling: '--num-images <n>', group: 'make' },
  }),
  /** diffusers' name of `numImages`. */
  numImagesPerPrompt: option({
    kind: kinds.count(MAX_IMAGES),
    families: LATENT,
    help: 'same as numImages',
    aliasOf: 'numImages',
    flag: { spelling: '--num-images-per-prompt <n>', group: 'make', help: 'same as --num-images' },
  }),
  /** diffusers' name of `numImages`. */
  numVideosPerPrompt: option({
    kind: kinds.count(MAX_IMAGES),
    families: ['animatediff'],
    help: 'same as numImages',
    aliasOf: 'numImages',
  }),
  /** Images, 1 by default. */
  batchSize: option({
    kind: kinds.count(MAX_IMAGES),
    families: ['ddpm'],
    help: 'images',
    fallback: '1',
    flag: { spelling: '--num-images <n>', group: 'make' },
  }),
  /** What the pictures show: a class of ImageNet, from 0 to 999, or a list of them. */
  classLabels: option({
    kind: kinds.labels,
    families: ['ldm'],
    help: 'for class-conditional models: numbers of the classes to show',
    required: { ldm: ': say which class to show, by its number' },
    flag: { spelling: '--class <n,n,...>', group: 'make' },
  }),
  /**
   * The picture to start from, or one for each image of the run. Without a width and a height the result has its size,
   * cut down to multiples of 8; the x4 upscaler's four times that. Image to image takes latents [n, 4, h, w] in model
   * scale, too. DDPM models repaint it at their own size, with the sampler RePaint and a mask.
   */
  image: option({
    kind: kinds.picture([3, 4]),
    families: [...FROM_IMAGE, ...INPAINT, 'pix2pix', 'depth2img', 'x4', 'svd', 'ddpm'],
    help: 'start from this picture',
    required: {
      img2img: '',
      'xl-img2img': '',
      inpaint: '',
      'xl-inpaint': '',
      pix2pix: ': say which picture to change',
      depth2img: '',
      x4: ': say which picture to enlarge',
      svd: ': a video begins with a picture',
    },
    flag: { spelling: '-i, --image <file>', group: 'picture' },
  }),
  /** White where the picture is to be repainted, black where it stays. Pictures are resized to the run's size. */
  maskImage: option({
    kind: kinds.picture([1, 3]),
    families: [...INPAINT, 'ddpm'],
    help: 'and repaint it where this one is white',
    required: { inpaint: '', 'xl-inpaint': '' },
    flag: { spelling: '--mask <file>', group: 'picture' },
  }),
  /**
   * How far the picture's parts are, in a picture of any size: what is brighter is nearer, and only differences count. A
   * tensor [n, 1, h, w] may hold any numbers. diffusers can estimate it, this package cannot.
   */
  depthMap: option({
    kind: kinds.picture([1]),
    families: ['depth2img'],
    help: "the picture's depth map, brighter where it is nearer",
    required: {
      depth2img: ": give the picture's depth map, brighter where it is nearer; nothing here estimates one",
    },
    flag: { spelling: '--depth-map <file>', group: 'picture' },
  }),
  /**
   * How noisy the x4 upscaler is told that the picture is, and makes it: more lets it invent more. At most what the model
   * was trained on, which is 350 for the published one.
   */
  noiseLevel: option({
    kind: kinds.whole(0, 100_000),
    families: ['x4'],
    help: 'noise that is put on the small picture: more of it lets the x4 upscaler invent more',
    fallback: '20',
    flag: { spelling: '--noise-level <n>', group: 'picture' },
  }),
  /**
   * How much of the schedule is run, above 0 and at most 1 (nothing of the picture stays). Default: image to image 0.8,
   * with SDXL 0.3; inpainting 1, with SDXL 0.9999. A run takes the whole part of steps * strength steps.
   */
  strength: option({
    kind: kinds.real(0, 1),
    families: [...FROM_IMAGE, ...INPAINT, 'depth2img'],
    help: 'how much of the picture to give up',
    fallback: '0.8, SDXL 0.3, inpainting 1',
    flag: {
      spelling: '--strength <x>',
      group: 'picture',
      help: 'how much of the picture to give up, 0 to 1',
    },
  }),
  /**
   * Whether the result's pixels outside the mask are those of the picture, bit for bit. Default false, as in diffusers:
   * they went through the autoencoder, which changes them a little. (Latents, as `output`, know no pixels.)
   */
  keepOriginal: option({
    kind: kinds.flag,
    families: INPAINT,
    help: 'whether pixels outside the mask stay as they are, bit for bit',
    fallback: 'false',
    flag: {
      spelling: '--no-keep-original',
      group: 'picture',
      help: 'let pixels outside the mask change a little, as models do',
    },
  }),
  /**
   * Blurs the mask, as Pillow's GaussianBlur does: the standard deviation in its pixels, 0 by default. What is repainted
   * is half white or more; where the picture is put back (`keepOriginal`, `paddingMaskCrop`), gray parts fade into it.
   */
  maskBlur: option({
    kind: kinds.real(0, 256),
    families: INPAINT,
    help: 'blur of the mask in pixels: with keepOriginal or paddingMaskCrop what is repainted fades into the rest',
    fallback: '0',
    flag: {
      spelling: '--mask-blur <pixels>',
      group: 'picture',
      help: 'let the mask fade out over so many pixels',
    },
  }),
  /**
   * Works on the area around the mask alone, with so many pixels around it, at the size of the run, by default the
   * model's own, and lays it into the picture again (diffusers: padding_mask_crop; the web UI: "only masked"). The result
   * has the picture's size; one picture and one mask.
   */
  paddingMaskCrop: option({
    kind: kinds.whole(0, 16_384),
    families: INPAINT,
    help: 'repaint the area around the mask alone, with so many pixels around it, at the full size of the run',
    excludes: ['t2iAdapterImage'],
    flag: { spelling: '--padding-mask-crop <pixels>', group: 'picture' },
  }),
  /**
   * Noise of unit variance to start from, [images, 4, height / 8, width / 8], instead of the seed's; AnimateDiff's is
   * [videos, 4, frames, height / 8, width / 8], as in diffusers.
   */
  latents: option({
    kind: kinds.latents,
    families: ['text2img', 'xl', 'xl-inpaint', 'pix2pix', 'x4', 'animatediff', 'svd', 'zero', 'ddpm', 'ldm'],
    help: 'noise to start from',
    fallback: "the seed's",
    flag: {
      spelling: '--latents <file>',
      group: 'tensor',
      help: 'noise to start from: [images, 4, height / 8, width / 8]',
    },
  }),
  /**
   * Encodes and decodes pictures larger than a tile in overlapping tiles, which takes less memory; the result differs
   * a little. `true` takes tiles of the size that the autoencoder was trained on with a quarter of overlap, as
   * diffusers' enable_vae_tiling does. Default false. (Images of a batch are always decoded one at a time.)
   */
  vaeTiling: option({
    kind: kinds.tiling,
    families: TEXT,
    help: 'encode and decode in tiles, for large pictures in little memory',
    fallback: 'false',
    flag: {
      spelling: '--vae-tiling [pixels]',
      group: 'model',
      help: 'decode in tiles, which takes less memory; their size is optional',
    },
  }),
  /**
   * Makes the picture larger and goes over it a second time: the first pass has the size of the run, the second
   * `scale` times as much in each axis. Everything else that is given holds for both, `onStep` too; the second counts its
   * steps anew.
   */
  hiresFix: option({
    kind: kinds.own<HiresFix>('object', 'fields', checkHiresFix, hiresForm),
    families: ['text2img', 'xl'],
    help: 'a second pass over the enlarged picture: scale, strength, steps, upscaler, antialias, seed',
    excludes: ['denoisingEnd'],
    flag: { spelling: '--hires-fix <name=x,...>', group: 'make' },
  }),
  /**
   * Enlarges the pictures, or a video's frames, by a network once they are decoded: an `Upscaler`, the path of its file,
   * or an object with `upscaler` and `scale`, or `width` and `height`.
   */
  upscale: option({
    kind: kinds.own<UpscaleGiven>('Upscaler, path or object', 'upscale', checkUpscale, upscaleForm),
    families: ALL,
    help: 'enlarge what was made by a network: upscaler, scale, or width and height, tile, tilePad',
    flag: {
      spelling: '--upscale <file>',
      group: 'make',
      help: 'enlarge what was made by this network; or upscaler=file,scale=x, or width=x,height=x, tile=x, tile_pad=x',
    },
  }),
  /** Stop after this fraction of the denoising, between 0 and 1; hand the latents to a refiner. */
  denoisingEnd: option({
    kind: kinds.fraction,
    families: XL,
    help: 'stop after this fraction of the denoising; hand the latents to a refiner',
    local: 'what it leaves is latents for another run',
  }),
  /** Go on from this fraction with the latents of a run that ended there: `image`, or `latents` beside a mask. */
  denoisingStart: option({
    kind: kinds.fraction,
    families: ['xl-img2img', 'xl-inpaint'],
    help: 'go on from this fraction with the latents of a run that ended there',
    local: 'it starts from the latents of another run',
  }),
};
