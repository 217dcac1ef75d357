import { join } from 'node:path';
import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { ModelLoadOptions, NetworkFiles } from '../../models/model-files.js';
import { type MotionAdapter, readMotionAdapter, withMotion } from '../../models/motion-adapter.js';
import { UNet2DConditionModel, type UNetModel } from '../../models/unet.js';
import { UNetMotionModel } from '../../models/unet-motion.js';
import type { NativeBackend } from '../../native/types.js';
import type { LoadOptions, ModelIndex } from './parts.js';

/** The pipeline of models with motion modules. */
export const MOTION_PIPELINE = 'AnimateDiffPipeline';

/** Throws unless motion modules go with the pipeline of a model. */
export function checkMotionAdapter(
  className: string,
  { motionAdapter }: Pick<LoadOptions, 'motionAdapter'>,
): void {
  if (motionAdapter === undefined || className === MOTION_PIPELINE) return;
  throw invalidArgument('motionAdapter', `is for an ${MOTION_PIPELINE}; this is a ${className}`);
}

/** The motion modules that options name, or that lie in the model's folder; undefined where its U-Net has its own. */
export async function findMotionAdapter(
  { source, className }: ModelIndex,
  { motionAdapter, variant, signal, log }: LoadOptions,
): Promise<MotionAdapter | undefined> {
  if (className !== MOTION_PIPELINE) return undefined;
  if (source.has('text_encoder_2')) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `motionAdapter is for models of Stable Diffusion 1; ${source.place} is an SDXL model`,
    );
  }
  const find = { variant, signal, log };
  if (motionAdapter !== undefined) return readMotionAdapter(motionAdapter, find);
  const { value } = await source.json('unet/config.json', { signal });
  if (value._class_name === 'UNetMotionModel') return undefined;
  if (source.has('motion_adapter')) return readMotionAdapter(join(source.place, 'motion_adapter'), find);
  throw invalidArgument(
    'motionAdapter',
    `is missing: ${source.place} has no motion modules; give a MotionAdapter's folder or file (--motion-adapter)`,
  );
}

/** A U-Net as it is, or with motion modules. */
export async function loadUnet(
  backend: NativeBackend,
  found: NetworkFiles,
  motion: MotionAdapter | undefined,
  options: ModelLoadOptions,
): Promise<UNetModel> {
  if (motion) return UNetMotionModel.load(backend, await withMotion(found, motion, options), options);
  const Model = found.config._class_name === 'UNetMotionModel' ? UNetMotionModel : UNet2DConditionModel;
  return Model.load(backend, found, options);
}
