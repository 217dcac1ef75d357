import { open } from 'node:fs/promises';
import { type DeepCacheError, messageOf } from '../../errors.js';
import { formatOf, MAGIC_BYTES, type PictureFormat } from '../../images/formats.js';
import { openPicture } from '../../images/picture.js';
import { oneLine } from '../../printable.js';
import { repeatOptions } from '../../settings/options.js';
import { type PictureSettings, readSettings } from '../../settings/read.js';
import { formatTable } from '../format.js';

/** A picture's format, by its first bytes; undefined for other files. */
export async function pictureFormat(path: string): Promise<PictureFormat | undefined> {
  const file = await open(path).catch(() => undefined);
  try {
    const { buffer } = (await file?.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0)) ?? {};
    return buffer && formatOf(buffer);
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}

/** A picture's size, and the settings in its file: those that `generate --from` takes, and those that it does not know. */
export async function inspectPicture(path: string, format: PictureFormat, signal: AbortSignal) {
  const { width, height } = await openPicture(path, { signal });
  const head = { path, format, width, height };
  const title = `${oneLine(path)} (${format})\n${width}x${height}\n`;
  let settings: PictureSettings;
  try {
    settings = await readSettings(path, { signal });
  } catch (error) {
    if ((error as Partial<DeepCacheError>).code !== 'ERR_DEEPCACHE_IMAGE') throw error;
    return { json: head, text: `${title}${oneLine(messageOf(error))}\n`, problems: 0 };
  }
  const { prompt, negativePrompt, fields } = settings;
  const rows = [['prompt', prompt], ['negative prompt', negativePrompt], ...Object.entries(fields)]
    .filter(([, value]) => value !== '')
    .map(([name, value]) => [oneLine(name as string), oneLine(value as string)]);
  const repeated = repeat(settings);
  const note = repeated === undefined ? '' : `generate --from: ${oneLine(repeated)}\n`;
  return { json: { ...head, settings }, text: `${title}${formatTable(rows)}${note}`, problems: 0 };
}

/** What stands between the settings and the same picture; undefined where nothing does. */
function repeat(settings: PictureSettings): string | undefined {
  try {
    const { ignored } = repeatOptions(settings);
    return ignored.length > 0 ? `does not use ${ignored.join(', ')}` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}
