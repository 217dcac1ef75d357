/** Work on a thread of its own. `cancel` makes the promise reject with ERR_DEEPCACHE_ABORTED soon. */
export interface Job<T> {
  readonly promise: Promise<T>;
  cancel(): void;
}
