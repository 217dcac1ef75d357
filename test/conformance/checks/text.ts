import { join } from 'node:path';
import { type GenerateOptions, resolveOptions } from '../../../lib/pipelines/options.js';
import { encodePrompts, type PromptEmbeds, readPrompts } from '../../../lib/pipelines/prompt.js';
import { CLIPTokenizer } from '../../../lib/tokenizers/clip-tokenizer.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';

/** Token ids, every hidden state, the last one after its norm, and the pooled output. */
export async function checkTextEncoder(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const { prompts } = golden.field<{ prompts: string[] }>('inputs') as { prompts: string[] };
  const folder = golden.modelFolder;
  const tokenizer = await CLIPTokenizer.fromPretrained(
    join(folder, golden.field<string>('tokenizer') as string),
  );
  const encoder = await models.textEncoder(folder, golden.field<string>('subfolder') as string);
  const ids = tokenizer.encodePadded(prompts);
  const hidden = Array.from({ length: encoder.layers + 1 }, (_, layer) => layer);
  const output = await encoder.encode(ids, prompts.length, { hidden });
  findings.tensor('input_ids', ids);
  findings.tensor(
    'hidden_states',
    output.hidden.flatMap((state) => [...state]),
  );
  findings.tensor('last_hidden_state', output.last);
  // Without a projection the pooled output is that of the last layer.
  for (const role of ['pooler_output', 'text_embeds']) {
    if (golden.has(role)) findings.tensor(role, output.pooled);
  }
}

/** diffusers' pipe.encode_prompt. */
export async function checkEncodePrompt(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder);
  const args = golden.field<Record<string, unknown>>('args') ?? {};
  const { prompt, negative_prompt, num_images_per_prompt, clip_skip, do_classifier_free_guidance } = args;
  const options: Record<string, unknown> = {
    prompt,
    negativePrompt: negative_prompt ?? undefined,
    numImages: num_images_per_prompt ?? undefined,
    clipSkip: clip_skip ?? undefined,
  };
  const embeds = await encode(pipe, options, do_classifier_free_guidance !== false);
  const outputs: Record<string, Float32Array | undefined> = {
    prompt_embeds: embeds.positive,
    negative_prompt_embeds: embeds.negative,
  };
  for (const role of golden.roles) findings.tensor(role, outputs[role] ?? []);
}

/** The text conditions as the pipeline itself would make them. */
export function encode(pipe: Pipeline, options: GenerateOptions, guided: boolean): Promise<PromptEmbeds> {
  const size = pipe.unet.sampleSize * pipe.vae.scale;
  const defaults = {
    width: size,
    height: size,
    scale: pipe.vae.scale,
    textLayers: pipe.textEncoder.layers,
    tileSize: pipe.vae.sampleSize,
  };
  const resolved = resolveOptions(options, defaults);
  return encodePrompts(
    pipe,
    readPrompts(pipe, resolved, guided, () => {}),
    resolved,
  );
}
