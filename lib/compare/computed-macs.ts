import type { UNetModel } from '../models/unet.js';
import type { ComputedCalls } from '../pipelines/loop/calls.js';

/** Multiply-accumulates of a run's U-Net calls, for a picture of the model's own size. */
export async function computedMacs(
  unet: Pick<UNetModel, 'macs' | 'branches'>,
  computed: readonly ComputedCalls[],
): Promise<number> {
  let sum = 0;
  for (const { kind, branch, outputs, calls, ...kept } of computed) {
    const branches = kind === 'retrieve' ? await unet.branches(kept) : [];
    const macs = branches.find((one) => one.branch === branch)?.macs ?? (await unet.macs(kept));
    sum += calls * outputs * macs.complete;
  }
  return sum;
}
