import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Image } from '../../../lib/index.js';
import type { FakeJob } from './fake-engine.js';
import { answer, closeAll, post, type Serving, serve, until } from './serving.js';

let serving: Serving;
beforeEach(async () => {
  serving = await serve();
});
afterEach(closeAll);

const nothing = () => {};
const get = (path: string) => answer(fetch(`${serving.base}/sdapi/v1/${path}`));
const send = (path: string, body: unknown) => answer(post(`${serving.base}/sdapi/v1/${path}`, body));
const request = () => (serving.engine.jobs.at(-1) as FakeJob).request;

async function pictureText(metadata: Record<string, string> = {}): Promise<string> {
  const image = new Image({ width: 8, height: 8, data: new Uint8Array(192).fill(255), metadata });
  return (await image.toBuffer()).toString('base64');
}

describe('Open WebUI', () => {
  test('chooses a model and makes pictures', async () => {
    // It reads all options, and writes them back with another model.
    const { body: options } = await get('options');
    expect(options.sd_model_checkpoint).toBe('one');
    expect((await send('options', { ...options, sd_model_checkpoint: 'two' })).status).toBe(200);
    expect((await get('options')).body.sd_model_checkpoint).toBe('two');
    expect((await get('sd-models')).body.map(({ title }: { title: string }) => title)).toEqual([
      'one',
      'two',
    ]);
    const { status, body } = await send('txt2img', {
      ...{
        prompt: 'a (red:1.2) barn',
        batch_size: 2,
        width: 128,
        height: 64,
        steps: 9,
        negative_prompt: 'a dog',
      },
    });
    expect(status).toBe(200);
    expect(request().model).toBe('two');
    const { seeds, ...others } = request().options as { seeds: number[] };
    expect(others).toEqual({
      ...{
        prompt: 'a (red:1.2) barn',
        negativePrompt: 'a dog',
        width: 128,
        height: 64,
        steps: 9,
        numImages: 2,
      },
      ...{ guidanceScale: 7, promptWeighting: true, longPrompts: true },
    });
    expect(seeds[1]).toBe((seeds[0] as number) + 1);
    const images = await Promise.all(
      body.images.map((text: string) => Image.open(Buffer.from(text, 'base64'))),
    );
    expect(images.map(({ width, data }) => [width, data[0]])).toEqual([
      [128, 10],
      [128, 50],
    ]);
    expect(JSON.parse(body.info)).toMatchObject({
      all_seeds: seeds,
      seed: seeds[0],
      sd_model_name: 'two',
      steps: 9,
    });
  });

  test("takes a model's own steps and guidance where the request says none", async () => {
    await send('txt2img', { prompt: 'a' });
    expect(request().options).toMatchObject({ steps: 50, guidanceScale: 7 });
    Object.assign(serving.engine, { about: async () => ({ steps: 4, guidanceScale: 1 }) });
    await send('txt2img', { prompt: 'a' });
    expect(request()).toMatchObject({ options: { steps: 4, guidanceScale: 1 }, previewEvery: 1 });
    await send('txt2img', { prompt: 'a', steps: 8, cfg_scale: 3 });
    expect(request().options).toMatchObject({ steps: 8, guidanceScale: 3 });
  });
});

describe('SillyTavern', () => {
  /** What its server passes on, as it is. */
  const generate = {
    ...{ url: 'http://127.0.0.1:7860', auth: '', prompt: 'a barn', negative_prompt: 'a dog' },
    ...{ sampler_name: 'DPM++ 2M', scheduler: 'karras', steps: 20, cfg_scale: 7, width: 512, height: 512 },
    ...{ restore_faces: false, enable_hr: true, hr_upscaler: 'Latent (bicubic)', hr_scale: 1.5 },
    ...{ hr_additional_modules: [], denoising_strength: 0.6, hr_second_pass_steps: 5, seed: undefined },
    ...{ override_settings: { CLIP_stop_at_last_layers: 2 }, override_settings_restore_afterwards: true },
    ...{
      clip_skip: 2,
      save_images: true,
      send_images: true,
      do_not_save_grid: false,
      do_not_save_samples: false,
    },
  };

  test('fills its lists', async () => {
    const names = async (path: string) => (await get(path)).body.map(({ name }: { name: string }) => name);
    expect(await names('samplers')).toEqual(expect.arrayContaining(['Euler a', 'DPM++ 2M', 'DDIM', 'UniPC']));
    expect(await names('schedulers')).toEqual(expect.arrayContaining(['automatic', 'karras']));
    expect(await names('upscalers')).toEqual(['None']);
    expect(await names('latent-upscale-modes')).toContain('Latent (bicubic)');
    expect(await names('loras')).toEqual(['ink']);
    expect((await get('sd-vae')).body).toEqual([]);
    expect((await get('embeddings')).body).toEqual({ loaded: {}, skipped: {} });
  });

  test('makes a picture in two passes', async () => {
    const { status, body } = await send('txt2img', generate);
    expect(status).toBe(200);
    expect(request().options).toMatchObject({
      ...{ scheduler: 'DPM++ 2M Karras', clipSkip: 1, guidanceScale: 7 },
      hiresFix: { scale: 1.5, strength: 0.6, steps: 5, upscaler: 'bicubic' },
    });
    expect(body.images).toHaveLength(1);
    expect(body.parameters.sampler_name).toBe('DPM++ 2M');
  });

  test('cancels by interrupting, or by going away', async () => {
    serving.engine.onJob = (job) => job.start();
    const asked = send('txt2img', generate);
    await until(() => serving.engine.jobs.length === 1);
    await send('interrupt', {});
    expect(await asked).toMatchObject({ status: 200, body: { images: [] } });
    expect(serving.engine.jobs[0]?.state).toBe('cancelled');
    const stop = new AbortController();
    const second = fetch(`${serving.base}/sdapi/v1/txt2img`, {
      ...{ method: 'POST', body: JSON.stringify(generate), signal: stop.signal },
      headers: { 'content-type': 'application/json' },
    });
    second.catch(nothing);
    await until(() => serving.engine.jobs[1]?.state === 'running');
    stop.abort();
    await until(() => serving.engine.jobs[1]?.state === 'cancelled');
  });

  test('follows the progress', async () => {
    expect((await get('progress')).body).toMatchObject({
      progress: 0,
      state: { job_count: 0 },
      current_image: null,
    });
    serving.engine.onJob = nothing;
    const asked = send('txt2img', generate);
    await until(() => serving.engine.jobs.length === 1);
    const [job] = serving.engine.jobs as [FakeJob];
    expect((await get('progress')).body).toMatchObject({
      progress: 0,
      eta_relative: 3,
      state: { job_count: 1, job_no: 1 },
    });
    job.start();
    job.step(2, 4, true);
    await until(async () => (await get('progress')).body.progress === 0.5);
    const { body } = await get('progress');
    expect(body.state).toMatchObject({ sampling_step: 2, sampling_steps: 4 });
    expect((await Image.open(Buffer.from(body.current_image, 'base64'))).width).toBe(64);
    expect((await get('progress?skip_current_image=true')).body.current_image).toBeNull();
    job.finish();
    expect((await asked).status).toBe(200);
  });
});

describe('other clients', () => {
  test('start from pictures, with masks', async () => {
    const image = await pictureText();
    await send('img2img', {
      prompt: 'a',
      init_images: [`data:image/png;base64,${image}`],
      denoising_strength: 0.4,
      seed: 5,
    });
    expect(request()).toMatchObject({ task: 'image-to-image', options: { strength: 0.4, seeds: [5] } });
    await send('img2img', { prompt: 'a', init_images: [image], mask: image });
    expect(request()).toMatchObject({ task: 'inpaint', options: { strength: 0.75 } });
    const { body } = await send('img2img', {
      prompt: 'a',
      init_images: [image],
      mask: image,
      inpainting_mask_invert: 1,
    });
    expect(request().options).toMatchObject({ maskImage: { data: new Uint8Array(192) } });
    expect(JSON.stringify(body)).not.toContain(image);
    expect((await send('img2img', { prompt: 'a' })).status).toBe(404);
  });

  test('name adapters in prompts', async () => {
    await send('txt2img', { prompt: 'a <lora:ink:0.5> barn' });
    expect(request().options).toMatchObject({ loraSyntax: true });
    await send('txt2img', { prompt: 'a barn' });
    expect(request().options).not.toHaveProperty('loraSyntax');
  });

  test('read the settings of a picture', async () => {
    const parameters = 'a barn\nNegative prompt: a dog\nSteps: 4, Seed: 7';
    const { body } = await send('png-info', { image: await pictureText({ parameters, Comment: 'hello' }) });
    expect(body).toEqual({
      info: parameters,
      items: { Comment: 'hello' },
      parameters: { Prompt: 'a barn', 'Negative prompt': 'a dog', Steps: '4', Seed: '7' },
    });
    expect((await send('png-info', { image: await pictureText() })).body).toEqual({
      info: '',
      items: {},
      parameters: {},
    });
  });

  test.each([
    ['txt2img', { prompt: 'a', batch_size: 9 }, 400, 'batch_size'],
    ['txt2img', { prompt: 'a', steps: '9' }, 400, 'steps'],
    ['txt2img', { prompt: 'a', steps: 151 }, 400, 'steps'],
    ['txt2img', { prompt: 'a', scheduler: 'Turbo', sampler_name: 'Euler' }, 400, 'scheduler'],
    ['txt2img', { prompt: 'a', enable_hr: true, hr_upscaler: '/etc/passwd' }, 400, 'hr_upscaler'],
    [
      'txt2img',
      { prompt: 'a', override_settings: { sd_model_checkpoint: '../x' } },
      404,
      'there is no such model',
    ],
    ['img2img', { prompt: 'a', init_images: ['/etc/passwd'] }, 400, 'image must be a picture'],
    ['img2img', { prompt: 'a', init_images: ['http://127.0.0.1/a.png'] }, 400, 'image must be a picture'],
    ['options', { sd_model_checkpoint: '/etc/passwd' }, 404, 'there is no such model'],
    ['png-info', { image: '/etc/passwd' }, 400, 'image must be a picture'],
  ])('are told what is wrong: %s %j', async (path, body, status, words) => {
    const { status: got, body: failure } = await send(path, body);
    expect([got, failure.detail]).toEqual([status, expect.stringContaining(words)]);
    expect(serving.engine.jobs).toEqual([]);
  });
});
