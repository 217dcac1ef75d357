import { join } from 'node:path';
import type { AdaptablePart, PartName } from '../../../lib/adapters/part.js';
import type { LoraScale, LoraUse } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import { adaptableParts } from '../../../lib/pipelines/loading/adaptable-parts.js';
import type { Tolerance } from '../compare.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { checkPipeline } from './pipeline.js';

/** An adapter as the manifests have it. */
export interface GivenAdapter {
  file: string;
  scale: number | Readonly<Partial<Record<PartName, number>>>;
}

/** Leaves these adapters on the pipeline; each is loaded once. */
export async function applyLoras(
  pipe: Pipeline,
  golden: GoldenCase,
  adapters: readonly GivenAdapter[],
): Promise<void> {
  const uses: LoraUse[] = [];
  for (const { file, scale } of adapters) {
    const name = file.replaceAll(/[<>:,]/g, '_');
    if (!pipe.loras.some((lora) => lora.name === name)) {
      await pipe.loadLora(join(golden.folder, file), { name, scale: 0 });
    }
    uses.push({ name, scale: toScale(scale) });
  }
  await pipe.setLoras(uses);
}

function toScale(scale: GivenAdapter['scale']): LoraScale {
  if (typeof scale === 'number') return scale;
  const { unet = 1, text_encoder: textEncoder = 1, text_encoder_2: textEncoder2 = 1 } = scale;
  return { unet, textEncoder, textEncoder2 };
}

/** A whole run with adapters, after one with others where the case has such. */
export async function checkLoraPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  try {
    await runWith(pipe, golden, findings, models);
  } finally {
    await pipe.unloadLora();
  }
}

async function runWith(
  pipe: Pipeline,
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const before = golden.field<GivenAdapter[]>('before');
  if (before) {
    await applyLoras(pipe, golden, before);
    await checkPipeline(golden, findings.apart(golden), models);
  }
  await applyLoras(pipe, golden, golden.field<GivenAdapter[]>('adapters') ?? []);
  await checkPipeline(golden, findings, models);
}

/** Cases one after the other on one pipeline, whose adapters are switched in between. */
export async function checkLoraSequence(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const cases = (golden.field<string[]>('sequence') ?? []).map((id) => {
    const found = golden.siblings.find((other) => other.id === id);
    if (!found) throw new Error(`there is no case ${id}`);
    return found;
  });
  const first = cases[0] as GoldenCase;
  const pipe = await models.pipeline(first.modelFolder, first.field<string>('pipeline'));
  try {
    for (const [i, one] of cases.entries()) {
      const own = findings.apart(one);
      await runWith(pipe, one, own, models);
      for (const { role, ...found } of own.comparisons) {
        findings.comparisons.push({ ...found, role: `${i + 1}. ${one.id}: ${role}` });
      }
    }
  } finally {
    await pipe.unloadLora();
  }
}

/** What an adapter changes of each weight: effective minus published. */
export async function checkLoraDelta(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder);
  const published = await readWeights(pipe);
  const file = golden.field<string>('adapter') as string;
  const at = async (scale: number) => {
    await applyLoras(pipe, golden, [{ file, scale }]);
    return new Deltas(published, await readWeights(pipe));
  };
  try {
    const full = await at(1);
    const layers = golden.field<string[]>('layers') ?? [];
    findings.equal('layers that change', full.changed, [...new Set(layers)].sort());
    for (const role of golden.roles) {
      const [, kind, scale, layer] = /^(delta|bias_delta)(?:_s([\d.]+))?\/(.+)$/.exec(role) ?? [];
      if (layer === undefined) continue;
      const deltas = scale === undefined ? full : await at(Number(scale));
      findings.tensor(role, deltas.of(`${layer}.${kind === 'delta' ? 'weight' : 'bias'}`));
    }
    const stats = layers.flatMap((layer) => statsOf(full.of(`${layer}.weight`)));
    const { delta_stats: own } = golden.field<{ delta_stats?: Tolerance }>('tolerance') ?? {};
    findings.tensor('delta_stats', stats, own);
  } finally {
    await pipe.unloadLora();
  }
}

type Weights = ReadonlyMap<string, Float32Array>;

class Deltas {
  constructor(
    private readonly from: Weights,
    private readonly to: Weights,
  ) {}

  of(name: string): Float32Array {
    const [from, to] = [this.from.get(name), this.to.get(name)];
    if (!from || !to) throw new Error(`there is no weight ${name}`);
    return to.map((value, i) => value - (from[i] as number));
  }

  /** Layers of which any value differs. */
  get changed(): string[] {
    const names = [...this.from.keys()].filter((name) => this.of(name).some((value) => value !== 0));
    return [...new Set(names.map((name) => name.replace(/\.\w+$/, '')))].sort();
  }
}

function statsOf(delta: Float32Array): number[] {
  let [sum, squares, largest] = [0, 0, 0];
  for (const value of delta) {
    sum += value;
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return [sum, Math.sqrt(squares), largest];
}

/** All weights that adapters may change, by part and name. */
async function readWeights(pipe: Pipeline): Promise<Weights> {
  const { components } = pipe as unknown as { components: Parameters<typeof adaptableParts>[0] };
  const encoders =
    'text' in components ? components.text.map(({ encoder }) => encoder) : [components.textEncoder];
  const weights = new Map<string, Float32Array>();
  for (const [i, part] of adaptableParts(components).entries()) {
    const read = (name: string) =>
      i === 0 ? finish(() => components.unet.native.readWeight(name)) : encoders[i - 1]?.readWeight(name);
    for (const name of namesOf(part)) weights.set(`${part.part}.${name}`, (await read(name)) as Float32Array);
  }
  return weights;
}

const namesOf = (part: AdaptablePart) => part.weightShapes().map(({ name }) => name);
