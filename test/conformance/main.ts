// npm run conformance -- FOLDER [--device cpu] [--dtype fp16] [--filter REGEX] [--json FILE] [--accept FILE | --strict]
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../lib/errors.js';
import { type DeviceOptions, openBackend } from '../../lib/native/device.js';
import { loadGoldens } from './goldens.js';
import { type Precision, precisionOf } from './precision.js';
import { count, formatReport, writeJson } from './report.js';
import { type CaseResult, runCases } from './runner.js';

const USAGE = `npm run conformance -- FOLDER [--device cpu] [--dtype fp16] [--filter REGEX]
                                [--json FILE] [--accept FILE | --strict]

Runs the goldens at FOLDER and below.
  --device   where the models run: cpu (default), cuda, cuda:N, auto
  --dtype    on a GPU: fp16 (default) or bf16, on the CPU: fp32 (default) or bf16; 16 bits are held against the limits
             of precision.ts
  --filter   only cases whose name, FAMILY/PART/ID, matches the regular expression
  --json     write every case with all that was compared to FILE
  --accept   failures of the cases that FILE lists (for all types, or the dtype) are told apart and do not count;
             default: test/conformance/known-deviations.json, which says why of each
  --strict   all failures count
Exit status: 0 when nothing failed, 1 when a case failed, 2 when nothing could be run.`;

const KNOWN_DEVIATIONS = 'test/conformance/known-deviations.json';

let nextProgress = 60_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      dtype: { type: 'string', default: 'auto' },
      filter: { type: 'string' },
      json: { type: 'string' },
      accept: { type: 'string', default: KNOWN_DEVIATIONS },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) throw new Error(`give one folder\n\n${USAGE}`);
  if (!existsSync(folder)) throw new Error(`${folder} does not exist`);
  const filter = new RegExp(values.filter ?? '');
  const cases = loadGoldens(folder).filter(({ name }) => filter.test(name));
  if (cases.length === 0) throw new Error(`no case at ${folder} matches`);
  const { device, dtype } = values;
  const options = { device, dtype } as Required<Pick<DeviceOptions, 'device' | 'dtype'>>;
  const { isa } = openBackend(options);
  const precision = precisionOf(options);

  const start = performance.now();
  const all = await runCases(cases, { ...options, onResult: showProgress });
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  if (values.json) writeJson(values.json, all, { folder, device, isa, precision, seconds });
  console.log(`${cases.length} cases of ${folder} on ${device} (${isa}, ${precision}) in ${seconds} s\n`);
  const accepted = values.strict ? [] : all.filter(acceptedBy(values.accept, precision));
  for (const { name } of accepted) console.log(`accepted ${name} (listed in ${values.accept})`);
  const results = all.filter((result) => !accepted.includes(result));
  console.log(formatReport(results));
  return count(results, 'failed') > 0 ? 1 : 0;
}

/** Failed cases that a list of known deviations names. */
function acceptedBy(path: string, precision: Precision): (result: CaseResult) => boolean {
  const lists = JSON.parse(readFileSync(path, 'utf8')) as {
    why: string;
    dtype?: Precision;
    cases: string[];
  }[];
  const valid = lists.filter(({ dtype }) => dtype === undefined || dtype === precision);
  const known = new RegExp(`^(${valid.flatMap(({ cases }) => cases).join('|')})$`);
  return ({ name, status }) => status === 'failed' && known.test(name);
}

/** A line that follows the cases on a terminal; elsewhere one a minute, so that a log shows a long run's pace. */
function showProgress({ name }: CaseResult, done: number, total: number): void {
  const line = done === total ? '' : `${done}/${total} ${name}`;
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  } else if (line && performance.now() > nextProgress) {
    nextProgress = performance.now() + 60_000;
    process.stderr.write(`${line}\n`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}
