import { TextualInversions } from '../../embeddings/textual-inversions.js';

/** Loaded models and how many pipelines share them: the last one that goes frees them. */
export class SharedModels {
  /** What their text encoders know besides their vocabulary. */
  readonly embeddings = new TextualInversions();
  #users = 0;

  constructor(private readonly models: readonly { dispose(): void }[]) {}

  /** One more pipeline has them. */
  share(): void {
    this.#users++;
  }

  /** One pipeline less has them. */
  release(): void {
    if (--this.#users > 0) return;
    for (const model of this.models) model.dispose();
  }
}
