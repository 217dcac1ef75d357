import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parsePythonJson } from '../lib/files/python-json.js';
import { SafetensorsFile } from './conformance/safetensors.js';
import { checkSchedulerTrace, type SchedulerCase } from './conformance/schedulers.js';

type Case = SchedulerCase & { id: string; tensors: Record<string, { tensor: string }> };

describe.each([
  ['0.24.0', 'fixtures/schedulers/'],
  ['0.40.0', 'fixtures/schedulers/v0.40/'],
])('step by step like diffusers v%s', (version, path) => {
  const folder = new URL(path, import.meta.url);
  const { cases } = parsePythonJson(readFileSync(new URL('manifest.json', folder), 'utf8')) as {
    cases: Case[];
  };
  const file = new SafetensorsFile(new URL('traces.safetensors', folder).pathname);
  const check = (golden: Case) =>
    checkSchedulerTrace(golden, (role) => file.read(golden.tensors[role]?.tensor as string), version);

  test.each(cases.map((golden) => [golden.id, golden] as const))('%s', (_, golden) => {
    expect(check(golden)).toMatchObject({ ok: true });
  });

  // The comparison itself must notice wrong arithmetic. The cosine schedule has no such ends.
  test.each(
    cases
      .filter(
        ({ kind, config }) => kind === 'scheduler_trace' && config?.beta_schedule !== 'squaredcos_cap_v2',
      )
      .map((golden) => [golden.id, golden] as const),
  )('%s with another noise schedule does not pass', (_, golden) => {
    const config = { ...golden.config, beta_start: 0.001, beta_end: 0.0121 };
    expect(check({ ...golden, config })).toMatchObject({ ok: false });
  });
});
