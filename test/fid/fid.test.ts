import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { FeatureFile } from '../../lib/fid/feature-file.js';
import { FeatureSet, Fid, frechetDistance, InceptionV3, readStatistics } from '../../lib/fid/index.js';
import { Image } from '../../lib/images/image.js';
import { measurePolicies, policiesOf } from '../../lib/laboratory/index.js';
import { qualityJson, qualityTable } from '../../lib/quality/index.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { runCli } from '../cli-run.js';
import { FOLDER, loadTiny, rejection } from '../pipelines/tiny.js';
import { inceptionTensors, picture } from './inception-files.js';

const folder = new AdapterFolder();
const place = (name: string) => join(folder.path, name);
let network: string;
let pictures: Image[];

beforeAll(async () => {
  network = folder.write('inception.safetensors', inceptionTensors());
  pictures = Array.from({ length: 10 }, (_, i) => picture(20 + i, 30, i));
  mkdirSync(place('reference'));
  for (const [i, image] of pictures.entries()) await image.save(join(place('reference'), `${i}.png`));
  writeFileSync(join(place('reference'), 'notes.txt'), 'no picture');
  mkdirSync(join(place('reference'), 'more'));
});
afterAll(() => folder.remove());

test('the reference is its pictures, and goes on where it was stopped', async () => {
  using inception = await InceptionV3.fromPretrained(network, { threads: 2 });
  const set = new FeatureSet(2048);
  await set.add(await inception.features(pictures));
  const wanted = await set.statistics();

  using fid = await Fid.open(place('reference'), network, { threads: 2 });
  expect(fid.referencePictures).toBe(10);
  expect(fid.notes(5000)).toEqual([expect.stringMatching(/^FID is of 10 reference pictures: below 2048/)]);
  expect(fid.notes(3)).toHaveLength(2);
  const resume = place('run.reference');
  const seen: number[] = [];
  const stop = new AbortController();
  const stopped = fid.prepare({
    resume,
    signal: stop.signal,
    onProgress: (done) => {
      seen.push(done);
      if (done > 0) stop.abort();
    },
  });
  await expect(stopped).rejects.toThrow(/abort/);
  expect(seen).toEqual([0, 8]);
  // What a kill leaves: a row that was not finished.
  const bytes = readFileSync(resume);
  const whole = bytes.indexOf('\n') + 1 + 8 * 4 * 2048;
  expect(bytes).toHaveLength(whole);
  writeFileSync(resume, Buffer.concat([bytes, Buffer.alloc(1000)]));
  seen.length = 0;
  const found = await fid.prepare({ resume, onProgress: (done) => seen.push(done) });
  expect(seen).toEqual([8, 10]);
  for (let i = 0; i < 2048; i++) expect(found.mu[i]).toBeCloseTo(wanted.mu[i] as number, 9);
  for (let i = 0; i < 2048 ** 2; i += 999) expect(found.sigma[i]).toBeCloseTo(wanted.sigma[i] as number, 9);
  expect(Math.abs(await fid.distance(set))).toBeLessThan(1e-5);
  expect((await rejection(fid.distance(fid.newSet()))).message).toMatch(/two pictures or more, got 0/);

  // Of other pictures it is refused.
  await (pictures[3] as Image).save(join(place('reference'), '0.png'));
  using other = await Fid.open(place('reference'), network, { threads: 2 });
  expect((await rejection(other.prepare({ resume }))).message).toMatch(
    /run.reference is of other reference pictures/,
  );
  await (pictures[0] as Image).save(join(place('reference'), '0.png'));
});

test('a file of features that was cut within its first line begins anew', async () => {
  const path = place('rows');
  const about = { pictures: 2 };
  for (const text of ['', '{"pict']) {
    writeFileSync(path, text);
    await using file = await FeatureFile.open(path, about, 2);
    expect(file.count).toBe(0);
    await file.add(Float32Array.of(1, 2, 3, 5));
  }
  const set = new FeatureSet(2);
  {
    await using file = await FeatureFile.open(path, about, 2);
    expect(file.count).toBe(2);
    await file.readInto(set);
  }
  expect([...(await set.statistics()).mu]).toEqual([2, 3.5]);
  for (const text of ['hello', '{"pictures":3}\n']) {
    writeFileSync(path, text);
    await expect(FeatureFile.open(path, about, 2)).rejects.toThrow(/rows is of other reference pictures/);
  }
  expect((await rejection(FeatureFile.open(folder.path, about, 2))).message).toMatch(/cannot be opened/);
});

test('what is no reference is refused by its name, before anything is computed', async () => {
  const open = (at: string) => rejection(Fid.open(place(at), network));
  expect((await open('missing')).message).toMatch(/fid .*missing cannot be read/);
  expect((await open('missing.npz')).message).toMatch(/missing.npz: cannot be read/);
  for (const name of ['empty', 'one', 'bad', 'bmp', 'cut']) mkdirSync(place(name));
  expect((await open('empty')).message).toMatch(/fid .*empty has no pictures .*two or more/);
  copyFileSync(join(place('reference'), '1.png'), join(place('one'), '1.png'));
  expect((await open('one')).message).toMatch(/fid .*one has one picture .*two or more/);
  copyFileSync(join(place('reference'), '1.png'), join(place('bad'), 'a.PNG'));
  writeFileSync(join(place('bad'), 'b.jpg'), 'hello');
  expect(await open('bad')).toMatchObject({
    code: 'ERR_DEEPCACHE_IMAGE',
    message: expect.stringMatching(/bad.b.jpg cannot be read/),
  });
  copyFileSync(join(place('reference'), '1.png'), join(place('bmp'), 'a.png'));
  writeFileSync(join(place('bmp'), 'b.bmp'), 'BM hello');
  expect((await open('bmp')).message).toMatch(/b.bmp cannot be read/);
  // A file whose header alone is right is found when its turn comes.
  for (const name of ['a.png', 'b.png'])
    copyFileSync(join(place('reference'), '1.png'), join(place('cut'), name));
  const half = readFileSync(join(place('cut'), 'b.png'));
  writeFileSync(join(place('cut'), 'b.png'), half.subarray(0, half.length >> 1));
  using fid = await Fid.open(place('cut'), network, { threads: 2 });
  expect((await rejection(fid.prepare())).message).toMatch(/cut.b.png cannot be read/);
});

test('pictures are read as they are stored, as pytorch-fid reads them', async () => {
  const raw = { width: 30, height: 20, channels: 3 } as const;
  const path = place('turned.jpg');
  await sharp((pictures[0] as Image).data, { raw })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toFile(path);
  expect(await Image.open(path)).toMatchObject({ width: 20, height: 30 });
  expect(await Image.open(path, { asStored: true })).toMatchObject({ width: 30, height: 20 });
  const wide = place('profile.png');
  await sharp((pictures[0] as Image).data, { raw })
    .png()
    .withIccProfile('p3')
    .toFile(wide);
  const stored = await sharp(wide, { ignoreIcc: true }).removeAlpha().raw().toBuffer();
  expect(Buffer.from((await Image.open(wide, { asStored: true })).data)).toEqual(stored);
  expect(Buffer.from((await Image.open(wide)).data)).not.toEqual(stored);
});

const RUN = ['quality', '-m', FOLDER, '-p', 'a dog', '-p', 'a cat', '--steps', '2', '--threads', '2'];

test('quality has a column of it, and keeps the statistics', async () => {
  const run = [...RUN, '--cache', 'interval=2', '--repeats', '1', '--inception', network, '--json'];
  const stats = place('stats.npz');
  const first = await runCli([...run, '--fid', place('reference'), '--save-stats', stats]);
  expect(first.err).toMatch(/FID is of 2 pictures: below 2048 their covariance is singular/);
  expect(first.code).toBe(0);
  const { rows, files } = JSON.parse(first.out);
  expect(files).toEqual([stats]);
  // From the statistics it is the same figure, and no picture is read.
  const { sigma } = await readStatistics(stats, 2048);
  expect(Math.max(...sigma.subarray(0, 2048))).toBeGreaterThan(0);
  const again = JSON.parse((await runCli([...run, '--fid', stats])).out).rows;
  for (const [i, { fid }] of rows.entries()) {
    expect(fid).toBeGreaterThan(0);
    expect(again[i].fid).toBeCloseTo(fid, 8);
  }
  expect(rows[0].fid).not.toBe(rows[1].fid);
  const { out } = await runCli([...run.slice(0, -1), '--fid', stats]);
  expect(out).toContain(rows[1].fid.toFixed(2));
  expect(out).toMatch(/ FID/);
});

test.each([
  [['--fid', 'x'], /fid needs the network's file: give --inception/],
  [['--inception', 'x'], /inception is for FID: give --fid too/],
  [['--save-stats', 'x.npz'], /--save-stats is for FID: give --fid too/],
  [['--fid', 'a.npz', '--inception', 'x', '--save-stats', 'b.npz'], /a.npz has some already/],
  [['--fid', '.', '--inception', 'missing.pth'], /missing.pth: cannot be read/],
  [['--fid', '.', '--inception', 'x', '--save-stats', 'b.json'], /must end in .npz/],
])('flags that do not go together are refused: %j', async (flags, message) => {
  const { code, err } = await runCli([...RUN, ...flags]);
  expect(code).not.toBe(0);
  expect(err).toMatch(message);
});

test('one picture is too few', async () => {
  const flags = ['--fid', place('reference'), '--inception', network];
  const { code, err } = await runCli(['quality', '-m', FOLDER, '-p', 'a dog', ...flags]);
  expect(code).not.toBe(0);
  expect(err).toMatch(/fid takes two prompts or more/);
});

test('the laboratory keeps features with what else it knows of a picture', async () => {
  await using pipe = await loadTiny();
  let calls = 0;
  const reference = { mu: new Float64Array(3), sigma: Float64Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1]) };
  /** Mean colours. */
  const fid = {
    network: { file: 'colours', bytes: 1 },
    newSet: () => new FeatureSet(3),
    notes: (count: number) => [`of ${count}`],
    distance: (set: FeatureSet) => frechetDistance(set, reference),
    features: async (images: readonly Image[]) => {
      calls++;
      return Float32Array.from(
        images.flatMap(({ data }) =>
          [0, 1, 2].map(
            (c) => data.reduce((sum, v, i) => (i % 3 === c ? sum + v / 255 : sum), 0) / data.length,
          ),
        ),
      );
    },
  };
  const resume = place('lab.jsonl');
  const options = { steps: 4, scheduler: 'DDIM' } as const;
  const measuring = { prompts: ['a dog', 'a cat', 'a red house'], seed: 1, fid, resume };
  const measure = () => measurePolicies(pipe, options, policiesOf('fewer-steps:share=0.5'), measuring);
  const first = await measure();
  expect(calls).toBe(6);
  const [none, fewer] = first.rows;
  expect(none?.fid).toBeGreaterThan(0);
  expect(fewer?.fid).not.toBe(none?.fid);
  expect(none?.notes).toContain('of 3');
  expect(qualityTable(first)[0]).toContain('FID');
  // All of it again, from the file.
  const second = await measure();
  expect(calls).toBe(6);
  expect(qualityJson(second)).toEqual(qualityJson(first));
  // Features of another network are others.
  const other = { ...measuring, fid: { ...fid, network: { file: 'colours', bytes: 2 } } };
  const error = await rejection(measurePolicies(pipe, options, policiesOf('fewer-steps:share=0.5'), other));
  expect(error.message).toMatch(/lab.jsonl is of another measurement/);
});
