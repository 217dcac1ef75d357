import { readFileSync } from 'node:fs';

/** A tensor of a golden file. F16 and BF16 are widened to Float32Array. */
export interface GoldenTensor {
  shape: number[];
  data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A safetensors file for tests: small, plain and read whole. The product has its own reader. */
export class SafetensorsFile {
  readonly #bytes: Uint8Array;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #start: number;

  constructor(path: string) {
    const file = readFileSync(path);
    this.#bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
    const headerLength = Number(file.readBigUInt64LE(0));
    this.#start = 8 + headerLength;
    const header = JSON.parse(file.toString('utf8', 8, this.#start)) as Record<string, Entry>;
    this.#entries = new Map(Object.entries(header).filter(([name]) => name !== '__metadata__'));
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  read(name: string): GoldenTensor {
    const entry = this.#entries.get(name);
    if (!entry) throw new Error(`there is no tensor '${name}'`);
    const [begin, end] = entry.data_offsets;
    // Copied, so that it starts at a multiple of any element size.
    const bytes = this.#bytes.slice(this.#start + begin, this.#start + end);
    return { shape: entry.shape, data: decode(entry.dtype, bytes.buffer) };
  }
}

function decode(dtype: string, buffer: ArrayBuffer): GoldenTensor['data'] {
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F64':
      return new Float64Array(buffer);
    case 'F16':
      return Float32Array.from(new Uint16Array(buffer), halfToFloat);
    case 'BF16': {
      const wide = Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16);
      return new Float32Array(wide.buffer);
    }
    case 'I64':
      return new BigInt64Array(buffer);
    case 'I32':
      return new Int32Array(buffer);
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer);
    default:
      throw new Error(`dtype ${dtype} is not known to the test reader`);
  }
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
