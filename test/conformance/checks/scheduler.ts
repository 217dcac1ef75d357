import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import { checkSchedulerTrace, goldenScheduler, type SchedulerCase } from '../schedulers.js';

/** A sampler's tables and its steps with a fake model, or the tables of betas. */
export function checkScheduler(golden: GoldenCase, findings: Findings): void {
  const fields = golden.fields as unknown as SchedulerCase;
  const version = golden.sourceField<{ diffusers?: string }>('versions')?.diffusers;
  // A class that is not implemented is no failure.
  if (fields.scheduler) goldenScheduler(fields, version);
  const { ok, detail } = checkSchedulerTrace(fields, (role) => golden.tensor(role), version);
  findings.fact(golden.kind, ok, detail);
}
