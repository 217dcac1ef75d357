// The entries of the package, by what they are imported as.
export const ENTRIES = [
  { name: 'deepcache', title: 'deepcache', module: 'lib/index' },
  { name: 'schedulers', title: 'deepcache/schedulers', module: 'lib/entries/schedulers' },
  { name: 'evaluate', title: 'deepcache/evaluate', module: 'lib/entries/evaluate' },
  { name: 'server', title: 'deepcache/server', module: 'lib/entries/server' },
  { name: 'ai', title: 'deepcache/ai', module: 'lib/entries/ai' },
];
