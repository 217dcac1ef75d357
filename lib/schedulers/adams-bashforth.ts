/** Weights of the newest slope and the ones before it, for a history of 0, 1, 2 and 3 older ones. */
export const ADAMS_BASHFORTH = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;
