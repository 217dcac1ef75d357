import { Scheduler } from '../../../lib/schedulers/index.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import { checkSchedulerTrace, type SchedulerCase } from '../schedulers.js';

/** A sampler's tables and its steps with a fake model, or the tables of betas. */
export function checkScheduler(golden: GoldenCase, findings: Findings): void {
  const fields = golden.fields as unknown as SchedulerCase;
  // A class that is not implemented is no failure.
  if (fields.scheduler) Scheduler.fromConfig({ ...fields.config, _class_name: fields.scheduler });
  const { ok, detail } = checkSchedulerTrace(fields, (role) => golden.tensor(role));
  findings.fact(golden.kind, ok, detail);
}
