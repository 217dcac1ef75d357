import { invalidConfig } from '../errors.js';
import type { CLIPTextModel } from '../models/text-encoder.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import type { Components } from './components.js';

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

/** The parts of a folder must belong together; each of them alone may be fine. */
export function checkFit(
  folder: string,
  { tokenizer, textEncoder, unet, vae }: Pick<Components, 'tokenizer' | 'textEncoder' | 'unet' | 'vae'>,
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
