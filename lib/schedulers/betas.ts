/**
 * Noise schedules. diffusers computes them in single precision, and the rounding is visible in the sigmas (relative
 * 1e-5 near the last timestep), so every step that it rounds is rounded here too.
 */

const f32 = Math.fround;

/** Numbers that torch computes at once (AVX2). */
const LANES = 8;

/** The beta schedules by their diffusers name. `exp` is known to Heun and `sigmoid` to DDPM only. */
export const BETA_SCHEDULES = ['linear', 'scaled_linear', 'squaredcos_cap_v2', 'exp', 'sigmoid'] as const;
export type BetaSchedule = (typeof BETA_SCHEDULES)[number];

/** The variance of each training step, `count` values rounded to single precision. */
export function computeBetas(
  schedule: BetaSchedule,
  start: number,
  end: number,
  count: number,
): Float64Array {
  switch (schedule) {
    case 'linear':
      return linspace32(start, end, count);
    case 'scaled_linear':
      return linspace32(Math.sqrt(start), Math.sqrt(end), count).map((v) => f32(v * v));
    case 'squaredcos_cap_v2':
      return betasForAlphaBar(count, (t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2);
    case 'exp':
      return betasForAlphaBar(count, (t) => Math.exp(-12 * t));
    case 'sigmoid':
      return linspace32(-6, 6, count).map((v) =>
        f32(f32(f32(1 / (1 + Math.exp(-v))) * f32(end - start)) + f32(start)),
      );
  }
}

/** The share of signal left after each training step: the running product of 1 - beta. */
export function alphasCumprod(betas: Float64Array): Float64Array {
  let product = 1;
  // torch keeps the running product of a float tensor in double precision on the CPU.
  return betas.map((beta) => {
    product *= f32(1 - beta);
    return f32(product);
  });
}

/**
 * Betas rescaled so that nothing of the signal is left after the last step (Lin et al. 2023, algorithm 1):
 * sqrt(alphas_cumprod) is shifted to end at 0 and scaled to start where it did.
 */
export function rescaleZeroTerminalSnr(betas: Float64Array): Float64Array {
  const root = alphasCumprod(betas).map((a) => f32(Math.sqrt(a)));
  const first = root[0] as number;
  const last = root[root.length - 1] as number;
  const scale = f32(first / f32(first - last));
  const alphaBar = root.map((r) => f32(f32(r - last) * scale)).map((r) => f32(r * r));
  return alphaBar.map((a, i) => f32(1 - (i === 0 ? a : f32(a / (alphaBar[i - 1] as number)))));
}

function betasForAlphaBar(count: number, alphaBar: (t: number) => number): Float64Array {
  const beta = (_: unknown, i: number) =>
    f32(Math.min(1 - alphaBar((i + 1) / count) / alphaBar(i / count), 0.999));
  return Float64Array.from({ length: count }, beta);
}

/**
 * torch.linspace in single precision: the second half is counted back from the end. torch computes eight values at a
 * time from the first of them; what that changes in the last bit can be seen in betas rescaled to zero terminal SNR.
 */
export function linspace32(start: number, end: number, count: number): Float64Array {
  if (count === 1) return Float64Array.of(f32(start));
  const [from, to] = [f32(start), f32(end)];
  const step = f32(f32(to - from) / (count - 1));
  return Float64Array.from({ length: count }, (_, i) => {
    const lane = i % LANES;
    const first = i - lane;
    const base = first < count >> 1 ? from + step * first : to - step * (count - 1 - first);
    return f32(f32(base) + f32(step * lane));
  });
}
