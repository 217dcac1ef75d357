/** A file of weights that is no whole model, as far as names and shapes of its tensors tell. */
export interface FileKind {
  readonly kind: string;
  /** For people: "a ControlNet". */
  readonly title: string;
  /** Models that it is for, where that can be told. */
  readonly family?: string | undefined;
  /** What distinguishes it from others of its kind. */
  readonly facts?: Readonly<Record<string, string | number>>;
  /** How it is loaded; absent where nothing loads it. */
  readonly use?: string;
}
