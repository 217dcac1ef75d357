import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DeepCacheError } from '../../../lib/errors.js';
import { openWeights } from '../../../lib/weights/open.js';
import type { WeightsFile } from '../../../lib/weights/stored-tensor.js';
import { StoredValues } from '../../../lib/weights/values.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import { checkSingleFilePipeline } from './single-file.js';

/** A pickle that would run something: nothing of it was, and the error names what it was. */
export async function checkMaliciousPickle(golden: GoldenCase, findings: Findings): Promise<void> {
  const marker = golden.field<string>('marker_file') as string;
  if (existsSync(marker)) throw new Error(`${marker} was there before`);
  const outcome = await openFile(golden, 'checkpoint').catch((error: unknown) => error);
  findings.fact('marker', !existsSync(marker), 'the file that the pickle would make');
  const isRefused = outcome instanceof DeepCacheError && outcome.code === 'ERR_DEEPCACHE_INVALID_WEIGHTS';
  findings.fact('refused', isRefused, isRefused ? outcome.message : 'the file was read');
  const name = golden.field<string>('global') as string;
  findings.fact('named', isRefused && outcome.message.includes(name), `the error names ${name}`);
}

/** A pipeline from a pickle, or its tensors alone. */
export async function checkPickle(golden: GoldenCase, findings: Findings): Promise<void> {
  if (golden.field('pipeline')) await checkSingleFilePipeline(golden, findings);
  else await checkPickledTensors(golden, findings);
}

/** A pickle whose tensors are those of the same names in a safetensors file. */
async function checkPickledTensors(golden: GoldenCase, findings: Findings): Promise<void> {
  const { tensors } = await openFile(golden, 'checkpoint');
  findings.equal('tensor_count', tensors.length, golden.field('tensor_count'));
  const others = new Map(
    (await openFile(golden, 'same_tensors_as')).tensors.map((tensor) => [tensor.name, tensor]),
  );
  await StoredValues.with({}, async (values) => {
    const differing: string[] = [];
    for (const tensor of tensors) {
      const other = others.get(tensor.name);
      const isSame =
        other !== undefined &&
        other.dtype === tensor.dtype &&
        other.shape.join() === tensor.shape.join() &&
        (await values.read(other)).equals(await values.read(tensor));
      if (!isSame) differing.push(tensor.name);
    }
    findings.equal('tensors that differ', differing, []);
  });
}

function openFile(golden: GoldenCase, field: string): Promise<WeightsFile> {
  return openWeights(join(golden.folder, golden.field<string>(field) as string));
}
