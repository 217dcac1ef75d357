import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { FEATURES, type Feature } from './features.js';
import { Composition, type Verdict } from './matrix.js';
import { loadSystems } from './systems.js';

/** The systems whose pairs of features are tried. */
const IN_PAIRS = ['SD', 'SDXL'];

/** What the tables say, and the cells that have to be mended. */
export interface Tables {
  readonly markdown: string;
  readonly faults: readonly string[];
}

/** Tries everything, which takes a minute, and makes the tables of the documentation. */
export async function composeTables(): Promise<Tables> {
  const root = mkdtempSync(join(tmpdir(), 'deepcache-composition-'));
  const files = new AdapterFolder();
  const systems = await loadSystems(root);
  try {
    const pages = new Pages();
    const compositions = systems.map((system) => new Composition(system, files));
    const verdicts = new Map<string, Verdict>();
    const alone = (composition: Composition, feature: Feature) =>
      verdicts.get(`${composition.system.name}: ${feature.name}`) as Verdict;
    for (const composition of compositions) {
      for (const feature of FEATURES) {
        verdicts.set(`${composition.system.name}: ${feature.name}`, await composition.alone(feature));
      }
    }
    for (const composition of compositions) {
      for (const feature of FEATURES)
        pages.check(`${composition.system.name}: ${feature.name}`, alone(composition, feature));
    }
    pages.table(
      'Systems',
      compositions.map(({ system }) => system.name),
      FEATURES.map(({ name }) => name),
      async (row, column) => alone(compositions[column] as Composition, FEATURES[row] as Feature),
    );
    for (const composition of compositions.filter(({ system }) => IN_PAIRS.includes(system.name))) {
      const usable = FEATURES.filter((feature) => alone(composition, feature).works);
      const columns = usable.filter(({ kind }) => kind !== 'sampler');
      const cells = new Map<string, Verdict | undefined>();
      for (const [row, one] of usable.entries()) {
        for (const [column, other] of columns.entries()) {
          const isAgain = one.kind !== 'sampler' && column >= row;
          const isEither = one.group !== undefined && one.group === other.group;
          if (isAgain || isEither) continue;
          const verdict = await composition.pair(one, other);
          pages.check(`${composition.system.name}: ${one.name} with ${other.name}`, verdict);
          cells.set(`${row},${column}`, verdict);
        }
      }
      await pages.table(
        `Pairs with ${composition.system.name}`,
        columns.map(({ name }) => name),
        usable.map(({ name }) => name),
        async (row, column) => cells.get(`${row},${column}`),
      );
    }
    return pages.result();
  } finally {
    for (const { pipe } of systems) await pipe.dispose();
    files.remove();
    rmSync(root, { recursive: true });
  }
}

/** Tables with the errors as numbered remarks below them all. */
class Pages {
  readonly #lines: string[] = [];
  readonly #errors: string[] = [];
  readonly #faults: string[] = [];

  check(name: string, verdict: Verdict): void {
    if ('fault' in verdict) this.#faults.push(`${name}: ${verdict.fault}`);
  }

  async table(
    title: string,
    columns: readonly string[],
    rows: readonly string[],
    verdict: (row: number, column: number) => Promise<Verdict | undefined>,
  ): Promise<void> {
    this.#lines.push(
      `## ${title}`,
      '',
      `| | ${columns.join(' | ')} |`,
      `|---|${columns.map(() => '---|').join('')}`,
    );
    for (const [i, row] of rows.entries()) {
      const cells: string[] = [];
      for (const j of columns.keys()) cells.push(this.#cell(await verdict(i, j)));
      this.#lines.push(`| ${row} | ${cells.join(' | ')} |`);
    }
    this.#lines.push('');
  }

  result(): Tables {
    const remarks = this.#errors.map((error, i) => `${i + 1}. ${error}`);
    return {
      markdown: [...this.#lines, '## Refused with', '', ...remarks, ''].join('\n'),
      faults: this.#faults,
    };
  }

  #cell(verdict: Verdict | undefined): string {
    if (!verdict) return '';
    if (verdict.works) return '✓';
    if ('fault' in verdict) return '**wrong**';
    const known = this.#errors.indexOf(verdict.error);
    return String(known >= 0 ? known + 1 : this.#errors.push(verdict.error));
  }
}
