import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { DeepCacheError, invalidArgument, messageOf } from '../errors.js';
import { replaceFile, writeFileAtomic } from '../files/atomic-write.js';
import { inSlices } from '../slices.js';
import { intoWebp } from './embed-exif.js';
import { toExif } from './exif.js';
import type { Image } from './image.js';

/** How a video is saved. */
export interface SaveVideoOptions {
  /** Frames a second, 7 by default. */
  fps?: number;
  /** Of WebP, 1 to 100. Default 92. */
  quality?: number;
}

const MAX_COMMENT = 30_000;

/** What files of videos end in. */
export const VIDEO_ENDINGS: readonly string[] = ['.mp4', '.webp', '.gif'];

/**
 * Writes frames of one size to a file: .mp4 (H.264) through the program ffmpeg, .webp or .gif as an animation that
 * repeats; the settings of the first frame go into MP4 and WebP. The file's name stands for the whole video, or for what was there before.
 *
 * @returns the path.
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the file, ERR_DEEPCACHE_INVALID_ARGUMENT,
 * ERR_DEEPCACHE_UNSUPPORTED where there is no ffmpeg
 */
export async function saveVideo(
  frames: readonly Image[],
  path: string,
  { fps = 7, quality = 92 }: SaveVideoOptions = {},
): Promise<string> {
  const [first] = frames;
  if (!first) throw invalidArgument('frames', 'must be a list of at least one image');
  if (frames.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw invalidArgument('frames', 'have different sizes');
  }
  if (!(fps > 0 && fps <= 1000)) throw invalidArgument('fps', `must be above 0 and at most 1000, got ${fps}`);
  const ending = extname(path).toLowerCase();
  if (!VIDEO_ENDINGS.includes(ending)) {
    throw new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${path} must end in ${VIDEO_ENDINGS.join(', ')}`);
  }
  try {
    if (ending === '.mp4') await replaceFile(path, (part) => encodeWithFfmpeg(frames, part, fps));
    else await writeFileAtomic(path, await animate(frames, ending === '.gif' ? 'gif' : 'webp', fps, quality));
    return path;
  } catch (cause) {
    if (cause instanceof DeepCacheError) throw cause;
    throw new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${path} cannot be written: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function animate(
  frames: readonly Image[],
  format: 'webp' | 'gif',
  fps: number,
  quality: number,
): Promise<Buffer> {
  const { width, height } = frames[0] as Image;
  const sharp = (await import('sharp')).default;
  const pages = Buffer.concat(frames.map(({ data }) => data));
  const raw = { width, height: height * frames.length, channels: 3 as const, pageHeight: height };
  const timing = { loop: 0, delay: frames.map(() => Math.round(1000 / fps)) };
  const animation = sharp(pages, { raw });
  // GIF has no place for settings.
  if (format === 'gif') return animation.gif(timing).toBuffer();
  const exif = toExif((frames[0] as Image).metadata);
  const webp = await animation.webp({ ...timing, quality }).toBuffer();
  return exif ? inSlices(intoWebp(webp, exif, { width, height })) : webp;
}

/** @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED where videos cannot be written as MP4. */
export async function requireFfmpeg(): Promise<void> {
  const child = spawn('ffmpeg', ['-version'], { stdio: 'ignore' });
  await new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(noFfmpeg(error)));
    child.once('close', resolve);
  });
}

function noFfmpeg(cause: Error): DeepCacheError {
  const message =
    'MP4 needs the program ffmpeg, which does not run here: install it, or write a .webp or .gif';
  return new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${message} (${cause.message})`, { cause });
}

function encodeWithFfmpeg(frames: readonly Image[], path: string, fps: number): Promise<void> {
  const { width, height } = frames[0] as Image;
  const input = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-s',
    `${width}x${height}`,
    '-r',
    String(fps),
    '-i',
    '-',
  ];
  const { parameters } = (frames[0] as Image).metadata;
  // What is longer cannot be handed to a program.
  const isShort = parameters !== undefined && parameters.length < MAX_COMMENT && !parameters.includes('\0');
  const comment = isShort ? ['-metadata', `comment=${parameters}`] : [];
  // Players expect this layout of colours, which needs even sizes.
  const output = ['-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-y'];
  // The prefix keeps a name that begins with a dash, or looks like a protocol, a file's.
  const child = spawn('ffmpeg', ['-loglevel', 'error', ...input, ...comment, ...output, `file:${path}`], {
    env: process.env,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (text) => {
      said += String(text);
    });
    child.once('error', (error) => reject(noFfmpeg(error)));
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`ffmpeg: ${said.trim() || `exit code ${code}`}`)),
    );
    // Its exit code says why it stopped reading.
    child.stdin.on('error', () => {});
    for (const { data } of frames) child.stdin.write(data);
    child.stdin.end();
  });
}
