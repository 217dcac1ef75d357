/** What values depend on in a model. What is not known, because nothing is loaded yet, is not checked. */
export interface Limits {
  /** Image pixels of a latent one: sizes are multiples of it. */
  readonly scale?: number;
  /** What sizes are multiples of where it is more than that. */
  readonly multiple?: number;
  /** Layers of the text encoder. */
  readonly textLayers?: number;
  /** Side of a tile of the autoencoder, in image pixels. */
  readonly tileSize?: number;
  /** Channels that a tensor may have in the place of a picture: latents, too. */
  readonly imageChannels?: readonly number[];
  /** Names of the axes of start noise. */
  readonly latentAxes?: readonly string[];
  /** Classes that a model knows. */
  readonly classes?: number;
}
