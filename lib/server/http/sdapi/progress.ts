import type { JobRecord } from '../jobs/desk.js';
import { toBase64 } from '../pictures.js';
import { previewImage } from '../previews.js';

/** How far a caller's job is, as `/progress` says it; without one nothing is done. */
export async function progressOf(
  record: JobRecord | undefined,
  position: number,
  withImage: boolean,
): Promise<object> {
  const { progress, preview, created } = record ?? {};
  const share = progress ? progress.call / progress.calls : 0;
  const image = withImage && preview ? await previewImage(preview) : undefined;
  return {
    progress: share,
    eta_relative: record?.secondsLeft ?? 0,
    state: {
      ...{ skipped: false, interrupted: false, stopping_generation: false },
      job: record?.id ?? '',
      job_count: record ? 1 : 0,
      job_timestamp: created === undefined ? '0' : timestamp(created),
      job_no: position,
      sampling_step: progress?.step ?? 0,
      sampling_steps: progress?.steps ?? 0,
    },
    current_image: image ? await toBase64(image, 'png', { metadata: false }) : null,
    textinfo: record?.state === 'queued' ? 'Waiting...' : null,
  };
}

/** As 20261129153000. */
function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14);
}
