import { openPicture } from '../../../images/picture.js';
import { parseSettings } from '../../../settings/parse.js';
import type { Limits } from '../limits.js';
import { pictureOfText } from '../pictures.js';

/** The texts in a picture's file; its pixels are not unpacked. */
export async function pngInfo(text: string, { inputPixels }: Limits): Promise<object> {
  const bytes = await pictureOfText('image', text);
  const { metadata } = await openPicture(bytes, { maxPixels: inputPixels });
  const { parameters: info = '', ...items } = metadata;
  return { info, items, parameters: fieldsOf(info) };
}

/** Empty for a text that is none of settings. */
function fieldsOf(text: string): object {
  try {
    const { prompt, negativePrompt, fields } = parseSettings(text);
    return { Prompt: prompt, 'Negative prompt': negativePrompt, ...fields };
  } catch {
    return {};
  }
}
