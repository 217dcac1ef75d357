import { expect, test } from '@jest/globals';
import { ImageEngine, type JobRequest, type ModelOptions } from '../../lib/server/engine/index.js';
import { FOLDER, loadTiny, numbersOf, rejection, sameBits } from '../pipelines/tiny.js';

// What a model is served with: options of loading, and what its runs take where a job says nothing else.

const tiny = { model: FOLDER, device: 'cpu' } as const;
const engineOf = (tiny: ModelOptions) => new ImageEngine({ models: { tiny }, log: () => {} });
const request = (options: object = {}): JobRequest => ({
  ...{ model: 'tiny', task: 'text-to-image' },
  options: { prompt: 'a lighthouse', seed: 1, output: 'latent', ...options },
});

test("a job takes its model's defaults where it says nothing else", async () => {
  const defaults = { steps: 5, guidanceScale: 3, cache: { interval: 2 }, negativePrompt: 'fog' };
  const engine = engineOf({ ...tiny, defaults });
  await using pipe = await loadTiny();
  const run = { prompt: 'a lighthouse', seed: 1, output: 'latent' } as const;
  const made = async (options: object = {}) => {
    const { result } = await engine.submit(request(options));
    return result;
  };
  const usual = await made();
  expect(usual.stats).toMatchObject({ fullCalls: 3, calls: 6 });
  expect(usual.settings[0]).toContain('fog');
  expect(sameBits(numbersOf(usual), numbersOf(await pipe.generate({ ...run, ...defaults })))).toBe(true);
  const own = { steps: 3, cache: false, negativePrompt: '' } as const;
  const other = await made(own);
  expect(other.stats).toMatchObject({ fullCalls: 4, calls: 4 });
  expect(
    sameBits(numbersOf(other), numbersOf(await pipe.generate({ ...run, ...own, guidanceScale: 3 }))),
  ).toBe(true);
  // A list of timesteps is its own number of steps.
  expect((await made({ scheduler: 'DDIM', timesteps: [900, 500] })).stats.calls).toBe(2);
  expect(await engine.about('tiny')).toMatchObject({ steps: 5, guidanceScale: 3, cache: 'settings' });
  await engine.close();
});

test('a preset is told by its name, and nothing where there is no cache', async () => {
  const told = async (defaults: object) => {
    const engine = engineOf({ ...tiny, defaults });
    const { cache } = await engine.about('tiny');
    await engine.close();
    return cache;
  };
  expect(await told({ cache: 'balanced' })).toBe('balanced');
  expect(await told({ cache: false })).toBeUndefined();
  expect(await told({})).toBeUndefined();
});

test.each([
  [{ dtyp: 'fp32' }, 'models.tiny: dtyp is not an option; did you mean dtype?'],
  [{ dtype: 'fp12' }, 'models.tiny: dtype must be'],
  [{ model: 5 }, 'models.tiny: model must be a folder, a file or a name, got 5'],
  [{ model: undefined }, 'models.tiny: model must be'],
  [{ signal: AbortSignal.abort() }, 'models.tiny: signal is not an option of a model that jobs share'],
  [{ defaults: 7 }, 'models.tiny: defaults: defaults must be an object, got 7'],
  [{ defaults: { step: 7 } }, 'models.tiny: defaults: step is not'],
  [{ defaults: { prompt: 'x' } }, 'models.tiny: defaults: prompt is not'],
  [{ defaults: { steps: 0 } }, 'models.tiny: defaults: steps must be'],
  [{ defaults: { cache: 'fats' } }, 'models.tiny: defaults: cache must be'],
] as const)('%j is refused when the engine is made', (wrong, message) => {
  expect(() => engineOf({ ...tiny, ...wrong } as never)).toThrow(message);
});

test.each([null, 'place', [], {}])('models: %j is refused', (models) => {
  expect(() => new ImageEngine({ models: models as never })).toThrow(/^models/);
});

test('each device has places of its own', async () => {
  const engine = new ImageEngine({ models: { tiny }, devices: ['cpu', 'cpu'], maxRunning: 3 });
  expect(engine.places).toBe(6);
  await engine.close();
});

test('a device that is none is refused when the engine is made', () => {
  expect(() => new ImageEngine({ models: { tiny }, devices: ['cpu', 'tpu'] })).toThrow(
    /^devices\[1\] must be 'auto'/,
  );
});

test('defaults that no run of the model can do with are found before its first job', async () => {
  const engine = engineOf({ ...tiny, defaults: { cache: { interval: 3, branch: 99 } } });
  expect((await rejection(engine.card('tiny'))).message).toMatch(/^defaults: cache\.branch must be/);
  await engine.close();
});
