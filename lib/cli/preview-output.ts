import { replaceFile } from '../files/atomic-write.js';
import type { Image } from '../images/image.js';
import type { StepEvent } from '../pipelines/outputs/result.js';
import type { LatentPreview } from '../previews/latent-preview.js';
import type { CliContext } from './context.js';
import type { StatusLine } from './status-line.js';
import { type ImageProtocol, imageProtocol, imageSequence } from './terminal-image.js';

/** Text lines that a picture takes up in a terminal. */
const ROWS = 14;

/**
 * Previews of a run, in a file, in the terminal, or both. They are drawn beside the run; where it is faster, previews
 * are left out, but never the last one.
 */
export class PreviewOutput {
  readonly #protocol: ImageProtocol | undefined;
  #next: LatentPreview | undefined;
  #working: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #isShown = false;

  /** @param files one for each image, or for the first frame of each video, replaced as a whole each time: who watches them never sees half a picture. */
  constructor(
    private readonly context: CliContext,
    private readonly line: StatusLine,
    private readonly files: readonly string[] | undefined,
  ) {
    this.#protocol = line.columns > 0 ? imageProtocol(process.env) : undefined;
  }

  /** Whether anybody will see anything. */
  get isUseful(): boolean {
    return this.files !== undefined || this.#protocol !== undefined;
  }

  /** Takes a step's preview, if it has one. Throws what went wrong with an earlier one. */
  update({ preview }: StepEvent): void {
    if (this.#failure) throw this.#failure.error;
    if (!preview) return;
    this.#next = preview;
    this.#working ??= this.#work();
  }

  /** Waits for the last one, and throws what went wrong. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits until nothing is written any more, also when the run failed. */
  async settle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      while (this.#next) {
        const preview = this.#next;
        this.#next = undefined;
        await this.#put(preview);
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#working = undefined;
    }
  }

  async #put(preview: LatentPreview): Promise<void> {
    // One image is enough for the terminal.
    const { signal } = this.context;
    const images = this.files ? await preview.toImages({ signal }) : [await preview.toImage(0, { signal })];
    if (this.#protocol) this.#show(await (images[0] as Image).toBuffer('png'), this.#protocol);
    for (const [i, file] of (this.files ?? []).entries()) {
      const image = images[Math.floor((i * images.length) / (this.files?.length ?? 1))] as Image;
      await replaceFile(file, (part) => image.save(part));
    }
  }

  #show(png: Buffer, protocol: ImageProtocol): void {
    if (this.context.signal.aborted) return;
    this.line.clear();
    // The first picture makes room, by scrolling where it must; the next ones go up to the same place.
    const room = this.#isShown ? '' : '\n'.repeat(ROWS);
    this.#isShown = true;
    const image = imageSequence(png, protocol, ROWS);
    // Terminals differ in where a picture leaves the cursor: it is put where it was, then below the picture.
    this.context.control(`${room}\x1b[${ROWS}A\x1b7${image}\x1b8\x1b[${ROWS}B\r`);
  }
}
