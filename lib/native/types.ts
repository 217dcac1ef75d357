/** @internal What native/addon exports. */
export interface NativeAddon {
  readonly version: string;
}
