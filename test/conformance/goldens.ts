import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parsePythonJson } from '../../lib/files/python-json.js';
import type { Tolerance } from './compare.js';
import { type GoldenTensor, SafetensorsFile } from './safetensors.js';

type Fields = Readonly<Record<string, unknown>>;

/** One golden: arguments, inputs and expected outputs, of either dialect of manifests or a row of a table. */
export class GoldenCase {
  /**
   * @param name FAMILY/PART/ID, what filters match.
   * @param kind decides which check runs: an sd manifest's `kind`, FAMILY/OP in the other dialect.
   * @param fields the entry of the manifest, or the row of the table.
   * @param source the folder and file that it comes from; `sourceFields` is everything there.
   */
  constructor(
    readonly name: string,
    readonly id: string,
    readonly kind: string,
    readonly fields: Fields,
    private readonly source: Source,
    private readonly tensors: ReadonlyMap<string, { file: string; key: string }> = new Map(),
  ) {}

  get family(): string {
    return this.name.split('/', 1)[0] as string;
  }

  /** Cases that are counted together: FAMILY/PART and the first part of the id, when there are several. */
  get group(): string {
    const first = this.id.split('/', 1)[0] as string;
    return this.id.includes('/') ? this.name.slice(0, -(this.id.length - first.length)) : dirname(this.name);
  }

  get tolerance(): Tolerance | undefined {
    return this.field<Tolerance>('tolerance');
  }

  /** A field of the entry; absent and null are the same. */
  field<T>(name: string): T | undefined {
    return (this.fields[name] ?? undefined) as T | undefined;
  }

  /** A field of the whole manifest or table. */
  sourceField<T>(name: string): T | undefined {
    return (this.source.fields[name] ?? undefined) as T | undefined;
  }

  get folder(): string {
    return this.source.folder;
  }

  /** All cases of the same file, in its order. */
  get siblings(): readonly GoldenCase[] {
    return this.source.cases;
  }

  get roles(): string[] {
    return [...this.tensors.keys()];
  }

  has(role: string): boolean {
    return this.tensors.has(role);
  }

  tensor(role: string): GoldenTensor {
    const place = this.tensors.get(role);
    if (!place) throw new Error(`${this.name} has no tensor in the role ${role}`);
    return this.source.open(place.file).read(place.key);
  }

  /** The folder of the case's model: models/NAME beside the manifest or above it, or sd/models/NAME, which others use. */
  get modelFolder(): string {
    const model = this.field<string>('model');
    if (!model) throw new Error(`${this.name} names no model`);
    return this.modelFolderOf(model);
  }

  /** The same of another model. */
  modelFolderOf(model: string): string {
    for (let folder = this.folder; ; folder = dirname(folder)) {
      const found = ['models', 'sd/models'].map((place) => join(folder, place, model)).find(existsSync);
      if (found) return found;
      if (folder === dirname(folder))
        throw new Error(`there is no models/${model} at ${this.folder} or above`);
    }
  }
}

/** A manifest or a table. */
interface Source {
  readonly folder: string;
  readonly fields: Fields;
  readonly cases: GoldenCase[];
  open(file: string): SafetensorsFile;
}

/** Every case at a folder or below it, in the order of the folders. */
export function loadGoldens(folder: string): GoldenCase[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = new Set(entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name));
  const cases: GoldenCase[] = [];
  let family = basename(folder);
  if (files.has('manifest.json')) {
    const source = openSource(folder, 'manifest.json');
    family = typeof source.fields.family === 'string' ? source.fields.family : family;
    cases.push(...manifestCases(source, family));
  }
  if (files.has('table.json')) cases.push(...rowCases(openSource(folder, 'table.json'), family, 'tokenizer'));
  if (files.has('step_lists.json')) {
    cases.push(...rowCases(openSource(folder, 'step_lists.json'), `${family}/step_lists`, 'step_list'));
  }
  for (const entry of entries) {
    if (entry.isDirectory()) cases.push(...loadGoldens(join(folder, entry.name)));
  }
  return cases;
}

function openSource(folder: string, file: string): Source {
  const path = join(folder, file);
  const fields = parsePythonJson(readFileSync(path, 'utf8')) as Fields;
  const opened = new Map<string, SafetensorsFile>();
  const open = (name: string) => {
    const known = opened.get(name) ?? new SafetensorsFile(join(folder, name));
    opened.set(name, known);
    return known;
  };
  return { folder, fields, cases: [], open };
}

function manifestCases(source: Source, family: string): GoldenCase[] {
  const { cases: entries, tensor_file: tensorFile } = source.fields;
  if (!Array.isArray(entries)) throw new Error(`the manifest of ${source.folder} has no list of cases`);
  for (const entry of entries as Fields[]) {
    const tensors = new Map<string, { file: string; key: string }>();
    for (const [role, place] of Object.entries((entry.tensors ?? {}) as Record<string, Fields>)) {
      const [file, key] = [entry.file ?? tensorFile, place.tensor ?? place.key].map(String) as [
        string,
        string,
      ];
      tensors.set(role, { file, key });
    }
    const id = String(entry.id ?? entry.name);
    const kind = entry.kind === undefined ? `${family}/${String(entry.op)}` : String(entry.kind);
    source.cases.push(new GoldenCase(`${family}/${id}`, id, kind, entry, source, tensors));
  }
  // Lists of cases that are to hold one after the other.
  const { sequences } = source.fields;
  for (const [i, sequence] of (Array.isArray(sequences) ? sequences : []).entries()) {
    const id = `sequence/${i}`;
    const first = (entries as Fields[]).find((entry) => String(entry.id ?? entry.name) === sequence[0]);
    const kind = `${String(first?.kind)}_sequence`;
    source.cases.push(new GoldenCase(`${family}/${id}`, id, kind, { sequence }, source));
  }
  // The other dialect keeps some lists of numbers in the manifest itself.
  for (const [table, rows] of Object.entries(source.fields)) {
    if (table.endsWith('_table')) addRows(source, family, table, `${family}/${table}`, rows);
  }
  return source.cases;
}

/** A case for each row of every list in the file. */
function rowCases(source: Source, family: string, kind: string): GoldenCase[] {
  for (const [table, rows] of Object.entries(source.fields)) addRows(source, family, table, kind, rows);
  return source.cases;
}

function addRows(source: Source, family: string, table: string, kind: string, rows: unknown): void {
  if (!Array.isArray(rows)) return;
  rows.forEach((row: Fields, i) => {
    source.cases.push(new GoldenCase(`${family}/${table}/${i}`, `${table}/${i}`, kind, row, source));
  });
}
