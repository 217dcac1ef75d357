import { readFileSync, writeFileSync } from 'node:fs';

/** Writes the tensors of a safetensors file under other names. */
export function writeRenamed(from: string, to: string, rename: (name: string) => string): string {
  const bytes = readFileSync(from);
  const length = Number(bytes.readBigUInt64LE(0));
  const header: Record<string, unknown> = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const renamed = Object.entries(header).map(([key, value]) => [rename(key), value]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(renamed)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(to, Buffer.concat([size, text, bytes.subarray(8 + length)]));
  return to;
}
