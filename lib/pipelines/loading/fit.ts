import { DeepCacheError, invalidConfig } from '../../errors.js';
import { defaultLog, type Log } from '../../log.js';
import { unknownFields } from '../../models/known-fields.js';
import type { PartSource } from '../../models/part-source.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import type { UNetModel } from '../../models/unet.js';
import { UNetMotionModel } from '../../models/unet-motion.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import type { SDParts } from './parts.js';

/** Every token must have a row in the text encoder that reads it. */
export function checkTokenizer(
  folder: string,
  tokenizer: CLIPTokenizer,
  encoder: Pick<CLIPTextModel, 'vocabSize' | 'maxLength'>,
  suffix = '',
): void {
  const rows = encoder.vocabSize;
  const token = tokenizer.tokenBeyond(rows);
  if (token) {
    throw invalidConfig(
      folder,
      `the tokenizer${suffix} has ids up to ${tokenizer.maxTokenId}, text_encoder${suffix} knows ${rows} tokens: ` +
        `${JSON.stringify(token.content)} of ${token.file} is ${token.id}`,
    );
  }
  if (tokenizer.modelMaxLength > encoder.maxLength) {
    throw invalidConfig(
      folder,
      `the tokenizer${suffix} makes ${tokenizer.modelMaxLength} tokens, text_encoder${suffix} takes ${encoder.maxLength}`,
    );
  }
}

/** Tells the log which fields of the configurations nobody obeys. */
export function tellUnknownFields(
  source: PartSource,
  models: Readonly<Record<string, { config: Readonly<Record<string, unknown>> }>>,
  log: Log = defaultLog,
): void {
  for (const [name, { config }] of Object.entries(models)) {
    const path = source.jsonPath(`${name}/config.json`);
    for (const message of unknownFields(config)) log(`${path}: ${message}`);
  }
}

/** Throws unless a U-Net has motion modules where a pipeline makes videos with them, and nowhere else. */
export function checkMotion(what: string, unet: UNetModel, makesVideos: boolean): void {
  if (unet instanceof UNetMotionModel === makesVideos) return;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    makesVideos
      ? `${what} has a U-Net without motion modules: load the model with the option motionAdapter (--motion-adapter)`
      : `${what} has a U-Net with motion modules, which makes videos: an AnimateDiffPipeline takes it`,
  );
}

/** The parts of a folder must belong together; each of them alone may be fine. */
export function checkFit(
  folder: string,
  { tokenizer, textEncoder, unet, vae }: Pick<SDParts, 'tokenizer' | 'textEncoder' | 'unet' | 'vae'>,
): void {
  const fail = (message: string) => {
    throw invalidConfig(folder, message);
  };
  checkTokenizer(folder, tokenizer, textEncoder);
  if (textEncoder.width !== unet.contextWidth) {
    fail(`the text encoder is ${textEncoder.width} wide, the U-Net reads ${unet.contextWidth}`);
  }
  if (vae.latentChannels !== unet.native.outChannels) {
    fail(`the autoencoder has ${vae.latentChannels} latent channels, the U-Net ${unet.native.outChannels}`);
  }
}
