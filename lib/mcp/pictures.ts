import { randomBytes } from 'node:crypto';
import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { pictureInText } from '../images/source.js';

/** Pictures that are remembered; the oldest go first. */
const MOST = 64;

/** The pictures of a session, by short names that a language model can repeat. */
export class SessionPictures {
  readonly #images = new Map<string, Image>();

  /** @returns its id. */
  add(image: Image): string {
    const id = `picture-${randomBytes(4).toString('hex')}`;
    this.#images.set(id, image);
    const [oldest] = this.#images.keys();
    if (this.#images.size > MOST && oldest !== undefined) this.#images.delete(oldest);
    return id;
  }

  /**
   * The bytes of a picture that a text names or holds; it is never taken for a path.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the argument.
   */
  async find(name: string, text: string): Promise<Uint8Array> {
    const known = this.#images.get(text);
    if (known) return known.toBuffer('png');
    const found = await pictureInText(text);
    if (found) return found.bytes;
    throw invalidArgument(name, 'must be the id of a picture that was made here, a data: URL, or base64');
  }
}
