import { join } from 'node:path';
import { Scheduler } from '../../lib/entries/schedulers.js';
import {
  DDPMPipeline,
  type DiffusionPipeline,
  LatentConsistencyModelImg2ImgPipeline,
  DiffusionPipeline as Loader,
  type LoadOptions,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import type { Device } from '../../lib/native/device.js';
import { adapterFile } from '../models/tiny-motion.js';
import { writeSd, writeUpscaler, writeXl } from '../pipelines/made-models.js';
import { SIZE } from '../pipelines/tiny.js';
import { writeDdpm, writeLdm, writeRefiner, writeVideo } from './made-systems.js';

/** A system of the table: a pipeline, and what its runs need. */
export interface System {
  readonly name: string;
  readonly pipe: DiffusionPipeline;
  /** Its model's folder. */
  readonly folder: string;
  readonly options: Readonly<Record<string, unknown>>;
}

const image = {
  data: Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => (i * 7) % 256),
  width: SIZE,
  height: SIZE,
  channels: 3 as const,
};
const maskImage = {
  data: Uint8Array.from({ length: SIZE * SIZE }, (_, i) => (i % SIZE < SIZE / 2 ? 255 : 0)),
  width: SIZE,
  height: SIZE,
  channels: 1 as const,
};
/** A quarter of its result. */
const small = {
  ...image,
  data: image.data.subarray(0, (SIZE / 4) ** 2 * 3),
  width: SIZE / 4,
  height: SIZE / 4,
};
const TEXT = { prompt: 'a lighthouse', guidanceScale: 3 };
const FROM = { ...TEXT, image, strength: 1 };

/** Of the fixture's four levels the coarsest has one pixel of such pictures, to which all its attention goes. */
const THREE_LEVELS = {
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  block_out_channels: [16, 32, 40],
};

/** Loads them all, with few channels each, into a folder. The caller disposes of the pipelines. */
export async function loadSystems(root: string, device: Device = 'cpu'): Promise<System[]> {
  const systems: System[] = [];
  const add = (name: string, pipe: DiffusionPipeline, folder: string, options: System['options']) => {
    systems.push({ name, pipe, folder, options });
  };
  const load = async (folder: string, options: LoadOptions = {}): Promise<[DiffusionPipeline, string]> => [
    await Loader.fromPretrained(folder, { device, log: () => {}, ...options }),
    folder,
  ];
  const [sd, sdFolder] = await load(await writeSd(join(root, 'sd'), { unet: THREE_LEVELS }));
  add('SD', sd, sdFolder, TEXT);
  add('SD img2img', StableDiffusionImg2ImgPipeline.from(sd), sdFolder, FROM);
  add('SD inpainting', StableDiffusionInpaintPipeline.from(sd), sdFolder, { ...FROM, maskImage });
  const nine = await writeSd(join(root, 'nine'), {
    index: { _class_name: 'StableDiffusionInpaintPipeline' },
    unet: { ...THREE_LEVELS, in_channels: 9 },
  });
  add('SD inpainting, 9 channels', ...(await load(nine)), { ...FROM, maskImage });
  add('Text2Video-Zero', TextToVideoZeroPipeline.from(sd), sdFolder, {
    ...TEXT,
    videoLength: 2,
    t0: 2,
    t1: 3,
  });
  const motionAdapter = adapterFile(root, 'motion.safetensors');
  const four = await writeSd(join(root, 'four'), {});
  add('AnimateDiff', ...(await load(four, { motionAdapter })), { ...TEXT, numFrames: 2 });
  const lcm = await writeSd(join(root, 'lcm'), {
    index: { _class_name: 'LatentConsistencyModelPipeline', scheduler: ['diffusers', 'LCMScheduler'] },
    unet: { ...THREE_LEVELS, time_cond_proj_dim: 32 },
    scheduler: { _class_name: 'LCMScheduler' },
  });
  const [lcmPipe, lcmFolder] = await load(lcm);
  add('LCM', lcmPipe, lcmFolder, TEXT);
  add('LCM img2img', LatentConsistencyModelImg2ImgPipeline.from(lcmPipe), lcmFolder, FROM);
  const pix2pix = await writeSd(join(root, 'pix2pix'), {
    index: { _class_name: 'StableDiffusionInstructPix2PixPipeline' },
    unet: { in_channels: 8 },
  });
  add('InstructPix2Pix', ...(await load(pix2pix)), { ...TEXT, image });
  const depth = await writeSd(join(root, 'depth'), {
    index: { _class_name: 'StableDiffusionDepth2ImgPipeline' },
    unet: { ...THREE_LEVELS, in_channels: 5 },
  });
  add('depth2img', ...(await load(depth)), { ...FROM, depthMap: maskImage });
  add('x4 upscaler', ...(await load(await writeUpscaler(join(root, 'x4')))), { ...TEXT, image: small });
  const [xl, xlFolder] = await load(await writeXl(join(root, 'xl')));
  add('SDXL', xl, xlFolder, TEXT);
  add('SDXL img2img', StableDiffusionXLImg2ImgPipeline.from(xl), xlFolder, FROM);
  add('SDXL inpainting', StableDiffusionXLInpaintPipeline.from(xl), xlFolder, { ...FROM, maskImage });
  add('SDXL refiner', ...(await load(await writeRefiner(join(root, 'refiner')))), FROM);
  add('SVD', ...(await load(await writeVideo(join(root, 'video')))), { image, width: SIZE, height: SIZE });
  add('LDM', ...(await load(await writeLdm(join(root, 'ldm')))), { classLabels: 1, guidanceScale: 3 });
  const [ddpm, ddpmFolder] = await load(await writeDdpm(join(root, 'ddpm')));
  add('DDPM', ddpm, ddpmFolder, {});
  const repainting = DDPMPipeline.from(ddpm);
  repainting.scheduler = Scheduler.fromConfig(ddpm.scheduler, { _class_name: 'RePaintScheduler' });
  const jumps = { schedulerOptions: { jumpLength: 2, jumpNSample: 2 } };
  add('DDPM repainting', repainting, ddpmFolder, { image, maskImage, ...jumps });
  return systems;
}
