/** What a tensor of an adapter's file is to its layer. */
export type KeyRole =
  | 'down'
  | 'up'
  | 'mid'
  | 'upBias'
  | 'alpha'
  | 'doraScale'
  | 'magnitudeVector'
  | `hada_${'w1_a' | 'w1_b' | 'w2_a' | 'w2_b' | 't1' | 't2'}`
  | `lokr_${'w1' | 'w1_a' | 'w1_b' | 'w2' | 'w2_a' | 'w2_b' | 't2'}`
  | `glora_${'a1' | 'a2' | 'b1' | 'b2' | 'bm'}`
  | 'weight'
  | 'on_input'
  | 'diff'
  | 'diff_b'
  | 'w_norm'
  | 'b_norm';

/** A key of an adapter's file, taken apart. */
export interface AdapterKey {
  /** What the file calls the layer. */
  readonly layer: string;
  readonly role: KeyRole;
}

/** Endings of kohya and LyCORIS (kohya_ss networks/lora.py, LyCORIS modules), PEFT, and diffusers before it used PEFT. */
const ENDINGS: readonly (readonly [RegExp, (match: RegExpExecArray) => KeyRole])[] = [
  [/\.lora_(down|up|mid)\.weight$/, ([, role]) => role as 'down' | 'up' | 'mid'],
  // PEFT's own state has the adapter's name in it.
  [/\.lora_([AB])(?:\.[\w-]+)?\.weight$/, ([, letter]) => (letter === 'A' ? 'down' : 'up')],
  [/\.lora_B(?:\.[\w-]+)?\.bias$/, () => 'upBias'],
  [/\.lora_magnitude_vector(?:\.[\w-]+){0,2}$/, () => 'magnitudeVector'],
  [/\.lora(?:_linear_layer)?\.(down|up)\.weight$/, ([, role]) => role as 'down' | 'up'],
  [/\.dora_scale$/, () => 'doraScale'],
  [/\.(hada_(?:w[12]_[ab]|t[12]))$/, ([, role]) => role as KeyRole],
  [/\.(lokr_(?:w[12](?:_[ab])?|t2))$/, ([, role]) => role as KeyRole],
  [/\.(a1|a2|b1|b2|bm)\.weight$/, ([, role]) => `glora_${role}` as KeyRole],
  [/\.(alpha|weight|on_input|diff|diff_b|w_norm|b_norm)$/, ([, role]) => role as KeyRole],
];

/** diffusers 0.10 to 0.21: LoRA layers of an attention processor, or beside a text encoder's attention. */
const PROCESSOR = /^(.*?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight$/;

/** Undefined for a key that belongs to no adapter. */
export function parseKey(key: string): AdapterKey | undefined {
  const [, attention, letter, role] = PROCESSOR.exec(key) ?? [];
  if (role) {
    const layer = `${attention}.${letter === 'out' ? 'to_out.0' : `to_${letter}`}`;
    return { layer, role: role as 'down' | 'up' };
  }
  for (const [ending, roleOf] of ENDINGS) {
    const match = ending.exec(key);
    if (match) return { layer: key.slice(0, match.index), role: roleOf(match) };
  }
  return undefined;
}
