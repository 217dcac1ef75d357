/** A normal distribution of features. */
export interface FeatureStatistics {
  /** Means: [width]. */
  readonly mu: Float64Array;
  /** Covariances: [width, width]. */
  readonly sigma: Float64Array;
}
