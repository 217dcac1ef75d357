import { writeFileSync } from 'node:fs';

/** A tensor of a file in the making; F32 unless it says otherwise. */
export interface GivenTensor {
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
  readonly dtype?: string;
}

/** Writes a safetensors file. */
export function writeSafetensors(path: string, tensors: Readonly<Record<string, GivenTensor>>): void {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let at = 0;
  for (const [name, { shape, data, dtype = 'F32' }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    at += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...parts]));
}
