import { parentPort, workerData } from 'node:worker_threads';
import { DiffusionPipeline, type GenerateOptions } from '../lib/index.js';

// Generates until it is terminated. Tells of its first step, so that it is in the middle of a run by then.

const { folder, options } = workerData as { folder: string; options: GenerateOptions };
const pipe = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
while (true) {
  await pipe.generate({ ...options, onStep: ({ call }) => parentPort?.postMessage(call) });
}
