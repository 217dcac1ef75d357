import { join } from 'node:path';
import type { GenerateOptions, Tensor } from '../../../lib/index.js';
import type { Pair } from '../../../lib/options/kinds.js';
import { timeIds } from '../../../lib/pipelines/conditioning/time-ids.js';
import { CLIPTokenizer } from '../../../lib/tokenizers/clip-tokenizer.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';

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
  const guided = do_classifier_free_guidance !== false;
  const embeds = await pipe.encodePrompt({
    prompt,
    negativePrompt: negative_prompt ?? undefined,
    numImages: num_images_per_prompt ?? undefined,
    clipSkip: clip_skip ?? undefined,
    guidanceScale: guided ? 7.5 : 1,
  } as GenerateOptions);
  const outputs: Record<string, Tensor | undefined> = {
    prompt_embeds: embeds.promptEmbeds,
    negative_prompt_embeds: embeds.negativePromptEmbeds,
    pooled_prompt_embeds: embeds.pooledPromptEmbeds,
    negative_pooled_prompt_embeds: embeds.negativePooledPromptEmbeds,
  };
  for (const role of golden.roles) findings.tensor(role, outputs[role]?.data ?? []);
}

/** diffusers' pipe._get_add_time_ids. */
export async function checkTimeIds(golden: GoldenCase, findings: Findings): Promise<void> {
  const args = golden.field<Record<string, unknown>>('args') ?? {};
  const ids = timeIds(
    {
      originalSize: args.original_size as Pair,
      cropsCoordsTopLeft: args.crops_coords_top_left as Pair,
      targetSize: args.target_size as Pair,
      // One call of the reference makes both halves from the same sizes.
      negativeOriginalSize: args.original_size as Pair,
      negativeCropsCoordsTopLeft: args.crops_coords_top_left as Pair,
      negativeTargetSize: args.target_size as Pair,
      ...(args.aesthetic_score !== undefined && {
        aestheticScore: args.aesthetic_score as number,
        negativeAestheticScore: args.negative_aesthetic_score as number,
      }),
    },
    { width: 0, height: 0, aesthetic: args.aesthetic_score !== undefined },
  );
  findings.tensor('time_ids', ids.positive);
  if (golden.has('negative_time_ids')) findings.tensor('negative_time_ids', ids.negative);
}
