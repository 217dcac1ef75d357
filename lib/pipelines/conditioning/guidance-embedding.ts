/**
 * The guidance scale as U-Nets take it that were distilled with guidance inside, [width]: sines and cosines of 1000
 * times what exceeds 1 (diffusers: LatentConsistencyModelPipeline.get_guidance_scale_embedding).
 */
export function guidanceEmbedding(guidanceScale: number, width: number): Float32Array {
  const out = new Float32Array(width);
  const half = Math.floor(width / 2);
  const position = 1000 * (guidanceScale - 1);
  for (let i = 0; i < half; i++) {
    // In single precision, as torch has it: the sine of a number in the thousands shows the difference.
    const frequency = Math.fround(Math.exp(Math.fround((-i * Math.log(10_000)) / (half - 1))));
    const angle = Math.fround(position * frequency);
    out[i] = Math.sin(angle);
    out[half + i] = Math.cos(angle);
  }
  return out;
}
