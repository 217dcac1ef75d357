import { expect, test } from '@jest/globals';
import { DiffusionPipeline } from '../../lib/index.js';
import type { AnyFamily } from '../../lib/pipelines/family.js';
import { readModelIndex } from '../../lib/pipelines/loading/model-index.js';
import { findPipeline } from '../../lib/pipelines/loading/registry.js';
import { FOLDER } from './tiny.js';

// What configurations tell before weights are read is what loaded models say of themselves.

test.each([FOLDER, 'models/demo'])('%s', async (folder) => {
  const index = await readModelIndex(folder);
  const family = findPipeline(index.className)?.family as AnyFamily;
  const { facts, scheduler } = await family.readFacts(index, {});
  await using pipe = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
  const { components } = pipe as unknown as { components: object };
  // A folder may say once for all levels what a loaded model says of each.
  const { layersPerBlock: layers, ...own } = family.facts(components as never);
  const { layersPerBlock: said, ...rest } = facts;
  expect(own).toEqual(rest);
  expect(layers).toEqual(typeof said === 'number' ? Array(own.levels).fill(said) : said);
  expect(pipe.scheduler.toConfig()).toEqual(scheduler.toConfig());
});
