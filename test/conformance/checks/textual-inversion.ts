import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readEmbeddingFile } from '../../../lib/embeddings/embedding-file.js';
import { type TextReader, TextualInversions } from '../../../lib/embeddings/textual-inversions.js';
import { encodeBlocks, readTexts } from '../../../lib/pipelines/conditioning/prompt.js';
import { CLIPTokenizer } from '../../../lib/tokenizers/clip-tokenizer.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { checkPipeline } from './pipeline.js';

interface Given {
  readonly file: string;
  readonly token?: string;
}

/** Ids, states and pooled outputs of every text encoder, with embeddings loaded in their order. */
export async function checkInversionEncode(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const prompts = golden.field<string[]>('prompts') ?? [];
  const readers = await readersOf(golden, models);
  for (const [i, { tokenizer, encoder, added }] of readers.entries()) {
    const suffix = readers.length > 1 ? `_${i + 1}` : '';
    const ids = tokenizer.encodePadded(prompts);
    const output = await encoder.encode(ids, prompts.length, { hidden: [encoder.layers - 1], added });
    const values: Record<string, ArrayLike<number> | undefined> = {
      input_ids: ids,
      last_hidden_state: output.last,
      hidden_state_penultimate: output.hidden[0],
      pooled: output.pooled,
    };
    for (const [role, value] of Object.entries(values)) {
      if (golden.has(role + suffix)) findings.tensor(role + suffix, value ?? []);
    }
  }
}

/** A denoising loop with embeddings in the prompts. */
export async function checkInversionPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  try {
    for (const { file, token } of givenOf(golden)) await pipe.loadTextualInversion(file, { token });
    await checkPipeline(golden, findings, models);
  } finally {
    pipe.unloadTextualInversion();
  }
}

/** A text of any length in blocks, as `longPrompts` has it. */
export async function checkTextChunks(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const [reader] = (await readersOf(golden, models)) as [TextReader];
  const prompts = golden.field<string[]>('prompts') ?? [];
  const options = { longPrompts: true, promptWeighting: false };
  const texts = await readTexts(reader.tokenizer, 'prompt', prompts, options, () => {});
  findings.tensor(
    'input_ids',
    texts.flat().flatMap(({ ids }) => [...ids]),
  );
  findings.tensor('prompt_embeds', (await encodeBlocks(reader, texts, {})).states);
}

async function readersOf(golden: GoldenCase, models: Models): Promise<TextReader[]> {
  const folder = golden.modelFolder;
  const branches = [];
  for (const suffix of ['', '_2']) {
    if (!existsSync(join(folder, `text_encoder${suffix}`))) continue;
    branches.push({
      tokenizer: await CLIPTokenizer.fromPretrained(join(folder, `tokenizer${suffix}`)),
      encoder: await models.textEncoder(folder, `text_encoder${suffix}`),
    });
  }
  const inversions = new TextualInversions();
  for (const { file, token } of givenOf(golden))
    inversions.add(await readEmbeddingFile(file), token, branches);
  return branches.map((branch, i) => inversions.readerOf(branch, i));
}

function givenOf(golden: GoldenCase): Given[] {
  const list = golden.field<Given[]>('embeddings') ?? [];
  return list.map(({ file, ...rest }) => ({ ...rest, file: resolve(golden.folder, file) }));
}
