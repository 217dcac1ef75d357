/** What is wrong with a pickle; readers turn it into an error with the file's name. */
export class PickleProblem extends Error {}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads a pickle's bytes from the start to the end, and never beyond. Numbers are little-endian. */
export class PickleBytes {
  constructor(
    private readonly bytes: Buffer,
    /** Where the next byte is. */
    public at: number,
  ) {}

  u8(): number {
    return this.bytes.readUInt8(this.advance(1));
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.advance(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.advance(4));
  }

  i32(): number {
    return this.bytes.readInt32LE(this.advance(4));
  }

  u64(): number {
    const value = this.bytes.readBigUInt64LE(this.advance(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PickleProblem('has an impossible length');
    return Number(value);
  }

  /** Big-endian, other than all else. */
  f64(): number {
    return this.bytes.readDoubleBE(this.advance(8));
  }

  take(length: number): Buffer {
    const start = this.advance(length);
    return this.bytes.subarray(start, start + length);
  }

  text(length: number): string {
    const bytes = this.take(length);
    try {
      return utf8.decode(bytes);
    } catch {
      throw new PickleProblem('has a text that is not UTF-8');
    }
  }

  /** Up to a line feed, which is not part of it. */
  line(longest: number): string {
    const end = this.bytes.subarray(this.at, this.at + longest + 1).indexOf(10);
    if (end < 0) throw new PickleProblem('has a name without an end');
    const text = this.text(end);
    this.at++;
    return text;
  }

  private advance(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start)
      throw new PickleProblem('ends within a value; it is truncated or damaged');
    this.at = start + length;
    return start;
  }
}
