/** Fields of an AutoencoderTiny's configuration. */
type Config = Readonly<Record<string, unknown>>;

const fieldsOf = ({ latent_magnitude: magnitude = 3, latent_shift: shift = 0.5 }: Config) => ({
  magnitude: Number(magnitude),
  shift: Number(shift),
});

/** Raw latents as values from 0 to 1, in which they can be stored as pictures (diffusers: scale_latents). */
export function tinyScaled(latents: Float32Array, config: Config): Float32Array {
  const { magnitude, shift } = fieldsOf(config);
  return latents.map((value) => Math.min(1, Math.max(0, value / (2 * magnitude) + shift)));
}

/** The inverse (diffusers: unscale_latents). */
export function tinyUnscaled(values: Float32Array, config: Config): Float32Array {
  const { magnitude, shift } = fieldsOf(config);
  return values.map((value) => (value - shift) * 2 * magnitude);
}
