import { invalidConfig, messageOf, withOwner } from '../../errors.js';
import { native } from '../../native/binding.js';
import type { ModelKind, TensorShape } from '../../native/types.js';
import type { NetworkFiles } from '../model-files.js';
import type { JsonPart } from '../part-source.js';
import type { Checkpoint } from './checkpoint.js';
import { averaged, type Layout } from './layouts.js';

/** The networks that may lie in a single file: what they are, how people call them, and the option for another one. */
export const NETWORKS: Readonly<Record<string, { kind: ModelKind; title: string; option?: string }>> = {
  unet: { kind: 'unet', title: 'U-Net', option: 'unet' },
  vae: { kind: 'vae', title: 'autoencoder', option: 'vae' },
  text_encoder: { kind: 'text_encoder', title: 'text encoder', option: 'textEncoder' },
  text_encoder_2: { kind: 'text_encoder', title: 'second text encoder', option: 'textEncoder2' },
  image_encoder: { kind: 'image_encoder', title: 'image encoder' },
};

/** A network of a checkpoint, by its configuration. */
export function networkIn(
  checkpoint: Checkpoint,
  part: string,
  layout: Layout,
  json: JsonPart,
  { useEma = false } = {},
): NetworkFiles {
  const { kind, title } = NETWORKS[part] as (typeof NETWORKS)[string];
  const { path, text, value } = json;
  const own = layout.naming(value);
  const naming = useEma ? averaged(own) : own;
  const tensors = checkpoint.tableOf(wantedBy(kind, path, text), naming, title);
  return checkpoint.network(json, tensors);
}

/** The tensors that a configuration asks for. */
function wantedBy(kind: ModelKind, path: string, text: string): TensorShape[] {
  try {
    // Python's numbers, which other configurations hold, mean nothing here.
    JSON.parse(text);
  } catch (cause) {
    throw invalidConfig(path, `is not JSON: ${messageOf(cause)}`, { cause });
  }
  try {
    return native().weightShapes(kind, text);
  } catch (error) {
    throw withOwner(path, error);
  }
}
