import { randomBytes } from 'node:crypto';

/** Where pictures are until they are forgotten: workers put them there, servers fetch them. */
export interface ResultStore {
  /** Whether its bytes are those that a server keeps within limits. */
  readonly isLimited: boolean;
  /** @param milliseconds after which they may go by themselves, where the store can do that. */
  put(name: string, bytes: Uint8Array, milliseconds: number): Promise<void>;
  /** Undefined where it is not there any more. */
  get(name: string): Promise<Buffer | undefined>;
  remove(names: readonly string[]): Promise<void>;
  /** Removes what was forgotten by all. */
  tidy?(milliseconds: number): Promise<void>;
  /** Ends its connections. */
  close?(): void;
}

/** A new name, which nobody can guess. */
export const newName = () => randomBytes(24).toString('hex');

/** Whether a text is such a name: nothing else becomes a part of a key or a path. */
export const isName = (text: unknown): text is string =>
  typeof text === 'string' && /^[0-9a-f]{48}$/.test(text);
