import { type CACHE_KEYS, CACHE_PRESETS } from '../deepcache/settings.js';
import * as json from './json.js';

type CacheKey = (typeof CACHE_KEYS)[number];

const FIELDS: { readonly [Key in CacheKey]: json.JsonForm } = {
  interval: json.whole(1),
  branch: json.whole(0),
  schedule: json.choice(['uniform', 'nonuniform']),
  center: json.whole(0),
  power: json.real(1),
  steps: json.list(json.whole(0)),
  counter: json.choice(['calls', 'helper']),
  plan: { type: 'string', pattern: '^F[FRP]*$', maxLength: 1000 },
  gamma: json.list(json.real()),
  curve: json.list(json.real()),
  clean: json.list(json.real()),
  noise: json.list(json.real()),
  damping: json.real(0, 1),
  featureDamping: json.real(0, 1),
  gateStep: json.whole(1),
  spInterval: json.whole(1),
  fiInterval: json.whole(1),
  warmUp: json.whole(0),
};

/** The cache as JSON has it. */
export const cacheForm: json.JsonForm = {
  anyOf: [json.off, json.choice(Object.keys(CACHE_PRESETS)), json.object(FIELDS)],
};
