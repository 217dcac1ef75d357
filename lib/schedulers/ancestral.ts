/**
 * The lower noise level `down` that a step from `from` goes to, and the deviation `up` of the noise that leads from there
 * back to `to`: as much as an SDE adds that takes the noise of the way away (Song et al. 2021).
 */
export function ancestralStep(from: number, to: number): { down: number; up: number } {
  const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
  return { down: Math.sqrt(to ** 2 - up ** 2), up };
}
