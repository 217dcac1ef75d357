import type { Loras } from '../../adapters/loras.js';
import { RunGate } from '../../adapters/run-gate.js';
import type { ControlNets } from '../../control/control-nets.js';
import { TextualInversions } from '../../embeddings/textual-inversions.js';
import type { FreeU } from '../../guidance/free-u.js';
import type { IpAdapters } from '../../ip-adapter/ip-adapters.js';
import type { T2IAdapters } from '../../t2i-adapter/t2i-adapters.js';

/** Loaded models and how many pipelines share them: the last one that goes frees them. */
export class SharedModels {
  /** What their text encoders know besides their vocabulary. */
  readonly embeddings = new TextualInversions();
  /** Runs of these pipelines, and changes of the models. */
  readonly gate = new RunGate();
  /** What is on their weights, where pipelines offer that. */
  loras: Loras | undefined;
  /** ControlNets beside their U-Net, where pipelines offer that. */
  controls: ControlNets | undefined;
  /** Networks that see pictures once for a run, where pipelines offer that. */
  t2iAdapters: T2IAdapters | undefined;
  /** Pictures beside prompts, where pipelines offer that. */
  ipAdapters: IpAdapters | undefined;
  /** Of their U-Net, where runs say nothing else. */
  freeU: FreeU | undefined;
  #users = 0;

  constructor(private readonly models: readonly { dispose(): void }[]) {}

  /** One more pipeline has them. */
  share(): void {
    this.#users++;
  }

  /** One pipeline less has them. */
  release(): void {
    if (--this.#users > 0) return;
    this.controls?.remove();
    this.t2iAdapters?.remove();
    this.ipAdapters?.dispose();
    for (const model of this.models) model.dispose();
  }
}
