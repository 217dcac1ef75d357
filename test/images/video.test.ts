import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { Image, saveVideo } from '../../lib/index.js';

const PATH = process.env.PATH;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-video-'));
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(folder, { recursive: true });
});

const frames = [40, 120, 200].map(
  (level) => new Image({ width: 8, height: 6, data: new Uint8Array(8 * 6 * 3).fill(level) }),
);

/** A program in place of ffmpeg. */
function installFfmpeg(script: string): void {
  writeFileSync(join(folder, 'ffmpeg'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'ffmpeg'), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
}

test.each(['webp', 'gif'])('an animated %s has all frames, their order and their times', async (format) => {
  const path = join(folder, `out.${format}`);
  expect(await saveVideo(frames, path, { fps: 10 })).toBe(path);
  const { pages, pageHeight, width, delay } = await sharp(path, { animated: true }).metadata();
  expect({ pages, pageHeight, width, delay }).toEqual({
    pages: 3,
    pageHeight: 6,
    width: 8,
    delay: [100, 100, 100],
  });
  const pixels = await sharp(path, { animated: true }).removeAlpha().raw().toBuffer();
  for (const [i, level] of [40, 120, 200].entries()) {
    expect(Math.abs((pixels[i * 8 * 6 * 3] as number) - level)).toBeLessThan(8);
  }
});

test('ffmpeg reads the frames as they are', async () => {
  installFfmpeg(
    `echo "$@" > ${folder}/arguments; cat > ${folder}/pixels; for f; do :; done; touch "$(echo $f | cut -c6-)"`,
  );
  const path = join(folder, 'out.mp4');
  expect(await saveVideo(frames, path, { fps: 24 })).toBe(path);
  expect(readFileSync(join(folder, 'arguments'), 'utf8')).toMatch(/-s 8x6 -r 24 .*file:.*\.mp4/);
  expect(readFileSync(join(folder, 'pixels'))).toEqual(Buffer.concat(frames.map(({ data }) => data)));
});

test('what ffmpeg complains about is told', async () => {
  installFfmpeg('echo no such encoder >&2; exit 3');
  const saving = saveVideo(frames, join(folder, 'out.mp4'));
  await expect(saving).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_IMAGE' });
  await expect(saving).rejects.toThrow(/out\.mp4.*no such encoder/);
});

test('without ffmpeg an MP4 is an error, and nothing else is written', async () => {
  process.env.PATH = folder;
  const saving = saveVideo(frames, join(folder, 'none.mp4'));
  await expect(saving).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
  await expect(saving).rejects.toThrow(/needs the program ffmpeg.*\.webp or \.gif/);
  expect(readdirSync(folder)).toEqual([]);
});

test('what was there stays when a video fails', async () => {
  const path = join(folder, 'kept.mp4');
  writeFileSync(path, 'old');
  installFfmpeg('for file; do :; done; echo half > "$(echo $file | cut -c6-)"; exit 3');
  await expect(saveVideo(frames, path)).rejects.toThrow(/kept\.mp4/);
  expect(readFileSync(path, 'utf8')).toBe('old');
});

test('wrong frames, names and times are refused', async () => {
  const path = join(folder, 'out.webp');
  const other = new Image({ width: 2, height: 2, data: new Uint8Array(12) });
  await expect(saveVideo([], path)).rejects.toThrow(/frames/);
  await expect(saveVideo([...frames, other], path)).rejects.toThrow(/frames have different sizes/);
  await expect(saveVideo(frames, join(folder, 'out.png'))).rejects.toThrow(/out\.png must end in \.mp4/);
  await expect(saveVideo(frames, path, { fps: 0 })).rejects.toThrow(/fps/);
});
