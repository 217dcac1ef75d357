import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FolderSource } from '../../../lib/models/folder-source.js';
import { openClipNames } from '../../../lib/models/single-file/clip-names.js';
import { type Entry, entriesOf } from '../../../lib/models/single-file/entries.js';
import { originalLayoutOf, originalNaming } from '../../../lib/models/single-file/original-layouts.js';
import { prefixed } from '../../../lib/models/single-file/place.js';
import { native } from '../../../lib/native/binding.js';

/** A tensor in the file's own bytes. */
export interface RawTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Buffer;
}

/** What a folder's parts are in an original checkpoint. */
export type Part = {
  readonly part: string;
  readonly entries: readonly Entry[];
  readonly tensors: ReadonlyMap<string, RawTensor>;
};

const PARTS = ['unet', 'vae', 'text_encoder', 'text_encoder_2', 'image_encoder'];

/** The parts of a folder in the diffusers layout, under the names of the original checkpoint that it came from. */
export async function originalParts(folder: string): Promise<Part[]> {
  const json = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const index = json('model_index.json');
  const text = existsSync(join(folder, 'text_encoder')) ? json('text_encoder/config.json') : {};
  const layout = originalLayoutOf(index, text);
  if (!layout) throw new Error(`${folder} has no original layout`);
  const parts: Part[] = [];
  for (const part of PARTS.filter((name) => existsSync(join(folder, name)))) {
    const { files, config } = await new FolderSource(folder).network(part);
    const tensors = new Map(files.flatMap(readRaw).map((tensor) => [tensor.name, tensor]));
    const naming = originalNaming(layout, part, config);
    if (!naming) throw new Error(`${layout} has no ${part}`);
    const names = [...tensors.keys()].filter((name) => !/position_ids$/.test(name));
    parts.push({ part, entries: entriesOf(names, naming), tensors });
  }
  return parts;
}

/** An encoder of transformers as open_clip has it. */
export function assembleNetwork(own: readonly RawTensor[], prefix: string): RawTensor[] {
  const tensors = new Map(own.map((tensor) => [tensor.name, tensor]));
  return entriesOf([...tensors.keys()], prefixed(prefix, openClipNames)).map((entry) =>
    joined(
      entry,
      entry.names.map((name) => tensors.get(name) as RawTensor),
    ),
  );
}

/** All of them, as the tensors of a single file. */
export async function assemble(folder: string): Promise<RawTensor[]> {
  const parts = await originalParts(folder);
  return parts.flatMap(({ entries, tensors }) =>
    entries.map((entry) =>
      joined(
        entry,
        entry.names.map((name) => tensors.get(name) as RawTensor),
      ),
    ),
  );
}

function joined({ key: name, op }: Entry, tensors: readonly RawTensor[]): RawTensor {
  const [first] = tensors as [RawTensor];
  const { dtype, shape } = first;
  const data = Buffer.concat(tensors.map((tensor) => tensor.data));
  const [rows = 0, columns = 0] = shape;
  if (op === 'squeeze_hw') return { name, dtype, shape: [rows, columns, 1, 1], data };
  if (op === 'concat_rows') return { name, dtype, shape: [3 * rows, ...shape.slice(1)], data };
  if (op !== 'transpose') return { name, dtype, shape, data };
  const size = data.length / (rows * columns);
  const turned = Buffer.alloc(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      data.copy(
        turned,
        (column * rows + row) * size,
        (row * columns + column) * size,
        (row * columns + column + 1) * size,
      );
    }
  }
  return { name, dtype, shape: [columns, rows], data: turned };
}

export function readRaw(path: string): RawTensor[] {
  const file = new (native().SafetensorsFile)(path);
  return file.tensors.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    data: Buffer.from(file.read(name)),
  }));
}

export function writeRaw(path: string, tensors: readonly RawTensor[]): void {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    const begin = at;
    at += data.length;
    return [name, { dtype, shape, data_offsets: [begin, at] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, header, ...tensors.map(({ data }) => data)]));
}
