import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import { codeOf } from './tiny-model.js';

test('a tensor that fits into no memory is an error of that name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-large-'));
  const path = join(folder, 'sparse.safetensors');
  const bytes = 2 ** 40;
  const header = JSON.stringify({ t: { dtype: 'F32', shape: [bytes / 4], data_offsets: [0, bytes] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header)]));
  // Takes no room on the disk: the values are a hole.
  truncateSync(path, 8 + header.length + bytes);
  const file = new (native().SafetensorsFile)(path);
  expect(await codeOf(() => file.read('t'))).toBe('ERR_DEEPCACHE_OUT_OF_MEMORY');
  rmSync(folder, { recursive: true });
});
