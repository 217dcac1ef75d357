import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeepCacheError, messageOf } from '../../../lib/errors.js';
import { assemble, originalParts, readRaw, writeRaw } from '../../models/single-file/assemble.js';
import type { Findings } from '../findings.js';
import { type GoldenCase, loadGoldens } from '../goldens.js';
import type { Models } from '../models.js';
import { type SingleFile, SingleFileModels } from '../single-file-models.js';
import { checkPipeline, comparePipeline } from './pipeline.js';
import { checkTextEncoder } from './text.js';
import { checkDeepCache, checkDeepCacheInputs, checkUnet } from './unet.js';

/** A pipeline from a single file, with the parts that the case names from others. */
export async function checkSingleFilePipeline(golden: GoldenCase, findings: Findings): Promise<void> {
  await within(async (folder) => {
    const place = placeOf(golden, folder);
    await using models = new SingleFileModels(place);
    const pipe = await models.pipeline('', golden.field<string>('pipeline'));
    await comparePipeline(golden, findings, pipe);
    // What the file itself says about its sampler, whatever the run was told.
    const { prediction_type } = golden.field<Record<string, unknown>>('scheduler_overrides') ?? {};
    if (golden.field('markers')) {
      const { scheduler } = pipe;
      findings.equal('prediction_type', scheduler.config.prediction_type, prediction_type);
      const isZero = golden.field<string[]>('markers')?.includes('ztsnr') === true;
      findings.equal('zero SNR', scheduler.config.rescale_betas_zero_snr === true, isZero);
    }
  });
}

/** A file without some parts: an error that names them, and a pipeline where they are supplied. */
export async function checkSingleFileMissing(golden: GoldenCase, findings: Findings): Promise<void> {
  const other = golden.siblings.find(({ id }) => id === golden.field('same_outputs_as')) as GoldenCase;
  const file = pathOf(golden, 'checkpoint');
  const config = pathOf(golden, 'config');
  {
    await using models = new SingleFileModels({ file, config });
    const error = await models.pipeline('').catch((reason: unknown) => reason);
    const code = error instanceof DeepCacheError ? error.code : String(error);
    findings.equal('the error', code, 'ERR_DEEPCACHE_INVALID_WEIGHTS');
    const options = { vae: 'option vae', text_encoder: 'textEncoder' };
    for (const part of golden.field<(keyof typeof options)[]>('missing') ?? []) {
      const told = messageOf(error);
      findings.fact(
        `names ${part}`,
        /\boptions? .*\b/.test(told) && told.includes(options[part].split(' ').at(-1) as string),
        told,
      );
    }
  }
  await using models = new SingleFileModels({ ...placeOf(other), file });
  const pipe = await models.pipeline('', other.field<string>('pipeline'));
  await comparePipeline(other, findings.about(other), pipe);
}

const CHECKS: Readonly<
  Record<string, (golden: GoldenCase, findings: Findings, models: Models) => void | Promise<void>>
> = {
  pipeline: checkPipeline,
  text_encoder: checkTextEncoder,
  unet: checkUnet,
  deepcache_unet_inputs: checkDeepCacheInputs,
  deepcache_unet: checkDeepCache,
};

/**
 * A folder as a single file, under the names that the reference's conversion expects. What it computes is what the folder
 * does, to the last bit, also where the folder's own distance to the reference is a known one.
 */
export async function checkSingleFileMapping(
  golden: GoldenCase,
  findings: Findings,
  folderModels: Models,
): Promise<void> {
  const { modelFolder } = golden;
  compareMapping(golden, findings, await originalParts(modelFolder));
  await within(async (folder) => {
    const file = join(folder, 'model.safetensors');
    writeRaw(file, await assemble(modelFolder));
    await using models = new SingleFileModels({ file, config: modelFolder }, folderModels.options);
    const root = join(golden.folder, '../..');
    const names = golden.field<string[]>('same_outputs_as') ?? [];
    const families = new Set(names.map((name) => name.split('/').slice(0, 2).join('/')));
    const cases = [...families].flatMap((family) => loadGoldens(join(root, family)));
    for (const name of names) {
      const found = cases.find((other) => name === `sd/${other.name}`);
      const check = found && CHECKS[found.kind];
      if (!found || !check) throw new Error(`there is no case ${name}, or no check for its kind`);
      const own = findings.apart(found);
      await check(found, own, models);
      const folder = findings.apart(found);
      await check(found, folder, folderModels);
      findings.equal(`${name}: as the folder`, own.comparisons, folder.comparisons);
      if (own.comparisons.every(({ ok }) => ok)) findings.comparisons.push(...own.comparisons);
    }
  });
}

/** Our names of every tensor, and the reference's. */
function compareMapping(
  golden: GoldenCase,
  findings: Findings,
  parts: Awaited<ReturnType<typeof originalParts>>,
): void {
  const path = pathOf(golden, 'mapping');
  const { entries } = JSON.parse(readFileSync(path, 'utf8')) as { entries: unknown[][] };
  const own = parts.flatMap(({ part, entries: list }) =>
    list.map(({ key, names, op }) => [key, part, names.length > 1 ? names : names[0], ...(op ? [op] : [])]),
  );
  const sorted = (list: readonly unknown[]) => list.map((entry) => JSON.stringify(entry)).sort();
  findings.equal('mapping', sorted(own), sorted(entries));
}

/** The files of a case. A case of one marker of two is about the file without the other. */
function placeOf(golden: GoldenCase, scratch?: string): SingleFile {
  let file = pathOf(golden, 'checkpoint');
  const markers = golden.field<string[]>('markers');
  if (scratch && markers && !markers.includes('ztsnr')) {
    const kept = readRaw(file).filter(({ name }) => name !== 'ztsnr');
    file = join(scratch, 'without.safetensors');
    writeRaw(file, kept);
  }
  return {
    file,
    config: pathOf(golden, 'config'),
    ...(golden.field('vae') !== undefined && { vae: pathOf(golden, 'vae') }),
    ...(golden.field('text_encoder') !== undefined && { textEncoder: pathOf(golden, 'text_encoder') }),
    ...(golden.field('use_ema') !== undefined && { useEma: true }),
  };
}

function pathOf(golden: GoldenCase, field: string): string {
  return join(golden.folder, golden.field<string>(field) as string);
}

async function within(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-single-file-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
