import { readFileSync } from 'node:fs';
import { DiffusionPipeline } from '../../lib/index.js';

/** What a device takes: milliseconds. */
export interface Device {
  readonly name: string;
  /** Of the size of its table. */
  readonly pixels: number;
  readonly encode: number;
  /** Of an image. */
  readonly decode: number;
  /** Of a U-Net pass, by its samples: what was seen. Between them lines, by other sizes in proportion to their pixels. */
  readonly full: Table;
  readonly retrieve: Table;
}

type Table = readonly (readonly [samples: number, milliseconds: number])[];

/** Milliseconds of a pass. */
export function passTime(device: Device, call: string, samples: number, pixels: number): number {
  const table = call === 'full' ? device.full : device.retrieve;
  const n = (samples * pixels) / device.pixels;
  // Beside the table as between its last two: a pass of fewer samples is not cheaper than in proportion.
  const above = Math.max(
    1,
    table.findIndex(([samples]) => samples >= n),
  );
  const at = n > (table.at(-1)?.[0] as number) ? table.length - 1 : above;
  const [[x0, y0], [x1, y1]] = [table[at - 1], table[at]] as [Table[number], Table[number]];
  return y0 + ((n - x0) * (y1 - y0)) / (x1 - x0);
}

/** SD 1.5 at 512x512 on an H200, as the time model predicts it. */
export function predictedH200(file = 'bench/results/predictions-h200.json'): Device {
  const { rows } = JSON.parse(readFileSync(file, 'utf8')) as {
    rows: { name: string; predicted_ms?: number }[];
  };
  const of = (name: string) => rows.find((row) => row.name === `${name}.fp16`)?.predicted_ms as number;
  // A call has two samples for each image.
  const table = (part: string): Table =>
    [1, 2, 8, 16].map((images) => [2 * images, of(`sd15.${part}.b${images}`)] as const);
  return {
    name: 'SD 1.5 at 512x512 on an H200, predicted',
    ...{ pixels: 64 * 64, encode: of('sd15.text.b1'), decode: of('sd15.decode.b1') },
    full: table('full'),
    retrieve: table('retrieve0'),
  };
}

/**
 * The demo model on one thread of this machine: processor time, which others on the machine lengthen little, the least of
 * some runs of each size.
 */
export async function measuredDemo(runs = 3): Promise<Device> {
  const load = { device: 'cpu', threads: 1, log: () => {} } as const;
  await using pipe = await DiffusionPipeline.fromPretrained('demo', load);
  const least = async (images: number, options: object) => {
    const run = { prompt: 'a red circle', numImages: images, guidanceScale: 5, seed: 1, ...options };
    const times: number[] = [];
    for (let i = 0; i < runs; i++) {
      const before = process.cpuUsage();
      await pipe.generate(run as never);
      const { user, system } = process.cpuUsage(before);
      times.push((user + system) / 1000);
    }
    return Math.min(...times);
  };
  const [full, retrieve]: [number, number][][] = [[], []];
  for (const images of [1, 2, 4, 8]) {
    // Of eight calls more.
    const two = await least(images, { steps: 2, output: 'latent' });
    full?.push([2 * images, ((await least(images, { steps: 10, output: 'latent' })) - two) / 8]);
    const cached = { output: 'latent', cache: { interval: 100 } };
    const first = await least(images, { ...cached, steps: 2 });
    retrieve?.push([2 * images, ((await least(images, { ...cached, steps: 10 })) - first) / 8]);
  }
  const latent = await least(1, { steps: 2, output: 'latent' });
  const decode = (await least(1, { steps: 2 })) - latent;
  const encode = latent - 2 * (full?.[0]?.[1] as number);
  const { sampleWidth, sampleHeight } = pipe.unet;
  return {
    name: 'the demo model on one thread of this machine, measured',
    ...{ pixels: sampleWidth * sampleHeight, encode: Math.max(encode, 0), decode: Math.max(decode, 0) },
    full: full as Table,
    retrieve: retrieve as Table,
  };
}
