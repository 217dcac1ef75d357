import { outputsOf } from '../../pipelines/inputs/options.js';
import { callsOf } from '../../pipelines/loop/conductor.js';
import { deadlineOf } from './check-request.js';
import type { EngineJob } from './engine-job.js';
import type { Task } from './job.js';
import { keysOf, type NetworkNeeds } from './networks.js';
import type { PlannedJob } from './schedule/planned-job.js';
import type { CheckedRun } from './served-model.js';

/** A job with all that a lane needs to run it. */
export interface LaneJob extends PlannedJob {
  readonly job: EngineJob;
  readonly task: Task;
  /** As the pipeline gets them: without adapters in prompts. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly needs: NetworkNeeds;
}

/** A job as its lane sees it, by what its options ask for. */
export function laneJob(
  job: EngineJob,
  { options: run, plan }: CheckedRun,
  options: LaneJob['options'],
  needs: NetworkNeeds,
): LaneJob {
  const { client, priority = 0, model, task } = job.request;
  const deadline = deadlineOf(job.request);
  const [samples, , height, width] = run.latent;
  return {
    ...{ id: job.id, job, task, model, client, priority, queued: job.times.queued, options, needs },
    ...(deadline !== undefined && { deadline }),
    ...keysOf(needs),
    samples: samples * outputsOf(run),
    pixels: height * width,
    shape: `${height}x${width}`,
    calls: callsOf(plan.table),
  };
}
