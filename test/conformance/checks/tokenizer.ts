import { resolve } from 'node:path';
import { CLIPTokenizer } from '../../../lib/tokenizers/clip-tokenizer.js';
import { readTokenizerFiles } from '../../../lib/tokenizers/tokenizer-files.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

/** A prompt of the token table: with the usual pad token, and with "!" as SD 2 and SDXL have it. */
export async function checkTokenizerRow(golden: GoldenCase, findings: Findings): Promise<void> {
  const folder = resolve(golden.folder, golden.sourceField<string>('vocab') as string);
  const { usual, bang } = await tokenizers(folder);
  const text = golden.field<string>('text') ?? '';
  checkColumns(golden, findings, usual, text, 'hf');
  if (golden.field('hf_pad_bang_tokens')) checkColumns(golden, findings, bang, text, 'hf_pad_bang');
  findings.equal(
    'hf_ids_untruncated_len',
    usual.encode(text).length + 2,
    golden.field('hf_ids_untruncated_len'),
  );
}

function checkColumns(
  golden: GoldenCase,
  findings: Findings,
  tokenizer: CLIPTokenizer,
  text: string,
  columns: string,
): void {
  const ids = golden.field<number[]>(`${columns}_ids_truncated`) ?? [];
  const padded = [...tokenizer.encodePadded(text)];
  findings.equal(`${columns}_tokens`, tokenizer.tokenize(text), golden.field(`${columns}_tokens`));
  findings.equal(`${columns}_ids_truncated`, padded.slice(0, ids.length), ids);
  const tail = golden.field<number>(`${columns}_padded77_tail`) as number;
  const rest = padded.slice(ids.length);
  findings.equal(`${columns} padding`, rest, new Array(padded.length - ids.length).fill(tail));
  findings.equal(`${columns}_padded77_tail`, padded[76], tail);
}

interface Tokenizers {
  usual: CLIPTokenizer;
  bang: CLIPTokenizer;
}

const loaded = new Map<string, Promise<Tokenizers>>();

function tokenizers(folder: string): Promise<Tokenizers> {
  const known = loaded.get(folder) ?? load(folder);
  loaded.set(folder, known);
  return known;
}

async function load(folder: string): Promise<Tokenizers> {
  const files = await readTokenizerFiles(folder);
  const bang = { ...files, special: { ...files.special, pad: '!' } };
  return { usual: new CLIPTokenizer(files), bang: new CLIPTokenizer(bang) };
}
