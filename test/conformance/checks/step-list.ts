import { checkStepList, type StepListRow } from '../deepcache-lists.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

/** A row of the paper's non-uniform schedules. */
export function checkStepListRow(golden: GoldenCase, findings: Findings): void {
  const { ok, detail } = checkStepList(golden.fields as unknown as StepListRow);
  findings.fact('steps', ok, detail);
}
