/** What a file of weights says of itself, and its values. */
export interface NativeSafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly {
    readonly name: string;
    /** The format's names: 'F32', 'F16', 'BF16', 'I64', ... */
    readonly dtype: string;
    readonly shape: readonly number[];
    /** Bytes from the file's start to the first value. */
    readonly offset: number;
    readonly bytes: number;
  }[];
  /** A copy of the tensor's bytes. */
  read(name: string): ArrayBuffer;
}
