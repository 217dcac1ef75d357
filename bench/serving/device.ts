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

/** The demo model on this machine, measured: the best of some runs of each size, as others may use the cores. */
export async function measuredDemo(runs = 4): Promise<Device> {
  await using pipe = await DiffusionPipeline.fromPretrained('demo', { device: 'cpu', log: () => {} });
  const [full, retrieve]: [number, number][][] = [[], []];
  let [encode, decode] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const images of [1, 2, 4, 8]) {
    let [bestFull, bestRetrieve] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let i = 0; i < runs; i++) {
      const prompt = 'a red circle';
      const options = { prompt, steps: 15, numImages: images, guidanceScale: 5, cache: { interval: 3 } };
      const { stats } = await pipe.generate(options as never);
      bestFull = Math.min(bestFull, (1000 * stats.callTimes.full) / stats.fullCalls);
      bestRetrieve = Math.min(bestRetrieve, (1000 * stats.callTimes.retrieve) / stats.retrieveCalls);
      encode = Math.min(encode, 1000 * (stats.times.encode + stats.times.prepare));
      decode = Math.min(decode, (1000 * stats.times.decode) / images);
    }
    full?.push([2 * images, bestFull]);
    retrieve?.push([2 * images, bestRetrieve]);
  }
  const { sampleWidth, sampleHeight } = pipe.unet;
  return {
    name: 'the demo model on this machine, measured',
    ...{ pixels: sampleWidth * sampleHeight, encode, decode },
    full: full as Table,
    retrieve: retrieve as Table,
  };
}
