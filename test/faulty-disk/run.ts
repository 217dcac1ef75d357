import { copyFileSync, cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiffusionPipeline } from '../../lib/index.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { assemble, writeRaw } from '../models/single-file/assemble.js';
import { FOLDER, latentsOf, loadTiny, sameBits } from '../pipelines/tiny.js';
import { writeSafetensors } from '../safetensors-file.js';
import { pickledCopy } from '../weights/pickled-copy.js';

// Runs with disk.c in LD_PRELOAD, and FAULTY_DISK in its environment. Prints one JSON object with what happened, for
// faulty-disk.test.ts to judge.

/** What is read, and from which file. */
interface Target {
  file: string;
  read(): Promise<unknown>;
}

/** What came of one kind of fault. */
export interface Outcome {
  /** Reads that were well before the fault, for each time that it was met. */
  faults: number[];
  codes: unknown[];
  /** Whether all messages named the file. */
  named: boolean;
  /** The last message. */
  message: string;
  /** Whether the pipeline was always as before. */
  kept: boolean;
}

export type Report = Record<string, Record<string, Outcome>>;

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'deepcache-disk-')));
const adapters = new AdapterFolder();
const plan = process.env.FAULTY_DISK as string;
const quiet = { device: 'cpu', log: () => {} } as const;

const tensors = await assemble(FOLDER);
const single = join(folder, 'single.safetensors');
writeRaw(single, tensors);
const checkpoint = join(folder, 'single.ckpt');
pickledCopy(single, checkpoint);
const model = join(folder, 'model');
cpSync(FOLDER, model, { recursive: true });
const embedding = join(folder, 'embedding.safetensors');
writeSafetensors(embedding, { emb_params: { shape: [2, 32], data: values([2, 32], 3).data } });

const pipe = await loadTiny();
const published = await latentsOf(pipe);
const block = 'unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1';
const shape = pipe.unet.weightShapes().find(({ name }) => `unet.${name}` === `${block}.to_q.weight`)?.shape;
const [rows, columns] = shape as [number, number];
const lora = realpathSync(
  adapters.write(
    'lora.safetensors',
    Object.fromEntries(
      ['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((name, i) => [
        [`${block}.${name}.lora_A.weight`, values([2, columns], i + 1)],
        [`${block}.${name}.lora_B.weight`, values([rows, 2], i + 9)],
      ]),
    ),
  ),
);

const load =
  (from: string, options = {}) =>
  async () => {
    const loaded = await DiffusionPipeline.fromPretrained(from, { ...quiet, ...options });
    await loaded.dispose();
  };
const targets: Record<string, Target> = {
  folder: { file: join(model, 'unet/diffusion_pytorch_model.safetensors'), read: load(model) },
  single: { file: single, read: load(single, { config: FOLDER }) },
  checkpoint: { file: checkpoint, read: load(checkpoint, { config: FOLDER }) },
  lora: { file: lora, read: () => pipe.loadLora(lora) },
  embedding: { file: embedding, read: () => pipe.loadTextualInversion(embedding, { token: '<x>' }) },
};

const report: Report = {};
for (const [name, target] of Object.entries(targets)) {
  const kinds = ['eio', 'end', 'cut', 'write'];
  report[name] = {};
  for (const kind of kinds) report[name][kind] = await outcome(target, kind);
}
console.log(JSON.stringify(report));
await pipe.dispose();
adapters.remove();
rmSync(folder, { recursive: true });

/** The fault at the first reads, and at ever later ones until all of them are well. */
async function outcome({ file, read }: Target, kind: string): Promise<Outcome> {
  const found: Outcome = { faults: [], codes: [], named: true, message: '', kept: true };
  const backup = `${file}.backup`;
  copyFileSync(file, backup);
  for (let good = 0; ; good += 1 + (good >> 1)) {
    writeFileSync(plan, `${kind} ${good} ${file}`);
    const error = await read().then(
      () => undefined,
      (thrown: unknown) => thrown as { code?: unknown; message: string },
    );
    writeFileSync(plan, '');
    copyFileSync(backup, file);
    if (!error) break;
    found.faults.push(good);
    found.codes.push(error.code);
    found.message = error.message.replaceAll(file, 'FILE');
    found.named &&= error.message.includes(file);
    found.kept &&= pipe.loras.length === 0 && pipe.textualInversions.length === 0;
    found.kept &&= good % 3 > 0 || sameBits(await latentsOf(pipe), published);
  }
  await pipe.unloadLora();
  pipe.unloadTextualInversion();
  found.kept &&= sameBits(await latentsOf(pipe), published);
  return found;
}
