// The server's page: a form, the jobs that wait and run, and the pictures that were made. What a user wrote is text here,
// never HTML.
import { cancel, follow, get, Refusal, savedKey, saveKey } from './serve-api.js';

/**
 * @template {HTMLElement} [T=HTMLInputElement]
 * @param {string} id
 */
const find = (id) => /** @type {T} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (find('wish'));
const TEXTS = ['prompt', 'negativePrompt', 'model', 'cache', 'scheduler', 'seed'];
const NUMBERS = ['steps', 'width', 'height', 'guidanceScale', 'numImages'];
/** Pictures narrower than this are shown with their pixels visible. */
const SMALL = 200;
/** Previews of a run. */
const PREVIEW_EVERY = 2;

/**
 * An element with a text.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** @param {string} text */
function complain(text) {
  find('complaint').textContent = text;
}

/** @param {File} file */
async function asUrl(file) {
  const reader = new FileReader();
  const read = new Promise((resolve, reject) => {
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
  });
  reader.readAsDataURL(file);
  return /** @type {Promise<string>} */ (read);
}

/** What the form says, in the words of the API. */
async function wishOf() {
  /** @type {Record<string, unknown>} */
  const wish = { previewEvery: PREVIEW_EVERY };
  for (const name of TEXTS) if (find(name).value !== '') wish[name] = find(name).value;
  for (const name of NUMBERS) if (find(name).value !== '') wish[name] = Number(find(name).value);
  const [file] = find('image').files ?? [];
  if (file) {
    wish.image = await asUrl(file);
    if (find('strength').value !== '') wish.strength = Number(find('strength').value);
  }
  return wish;
}

/** A line of the queue. @param {string} prompt */
function lineOf(prompt) {
  const picture = make('img', { alt: '', hidden: true });
  const bar = make('progress', { max: 1, value: 0 });
  bar.setAttribute('aria-label', `Progress of ${prompt}`);
  const about = make('div', { className: 'about', textContent: 'sent' });
  const button = make('button', { type: 'button', textContent: 'Cancel' });
  button.setAttribute('aria-label', `Cancel ${prompt}`);
  const text = make('div', {}, make('div', { className: 'text', textContent: prompt }), bar, about);
  const item = make('li', {}, make('div', { className: 'frame' }, picture), text, button);
  return { item, picture, bar, about, button };
}

/** Makes what the form says. */
async function submit() {
  complain('');
  const wish = await wishOf();
  const prompt = String(wish.prompt ?? '');
  const line = lineOf(prompt);
  find('queue').append(line.item);
  let isRefused = false;
  try {
    for await (const { event, data } of follow(wish)) {
      if (event === 'queued') {
        line.button.onclick = () => void cancel(data.id).catch((error) => complain(error.message));
        line.about.textContent = data.position > 0 ? `waits, ${data.position - 1} before it` : 'waits';
      }
      if (event === 'started') line.about.textContent = 'begins';
      if (event === 'step') {
        line.bar.value = data.call / data.calls;
        line.about.textContent = `step ${data.step} of ${data.steps}${data.kind === 'full' ? '' : ', from the cache'}`;
        if (data.preview) Object.assign(line.picture, { src: data.preview, hidden: false });
      }
      if (event === 'failed') complain(data.error.message);
      if (event === 'done') await show(wish, data);
    }
  } catch (error) {
    isRefused = true;
    complain(error instanceof Error ? error.message : String(error));
    if (error instanceof Refusal && error.status === 401) askForKey();
  }
  line.item.remove();
  if (isRefused) find('prompt').focus();
}

/**
 * Puts the pictures of a job into the gallery.
 *
 * @param {Record<string, unknown>} wish
 * @param {any} job
 */
async function show(wish, job) {
  for (const [i, { url, width, height }] of job.images.entries()) {
    // The server forgets it after a while.
    const source = URL.createObjectURL(await (await fetch(new URL(url).pathname.slice(1))).blob());
    const seed = job.seeds[i] ?? job.seeds[0];
    const faster =
      job.speedup > 1.005 ? `, ${job.speedup.toFixed(2)} times as fast as without the cache` : '';
    const image = make('img', { src: source, alt: String(wish.prompt), width, height });
    image.classList.toggle('small', width < SMALL);
    const again = make('button', { type: 'button', textContent: 'Use settings' });
    again.onclick = () => use(wish, seed);
    const save = make('a', { href: source, download: `${seed}-${i}.png`, textContent: 'Save' });
    const about = `${width}×${height}, seed ${seed}, ${job.seconds.toFixed(1)} s${faster}`;
    const item = make(
      'li',
      {},
      image,
      make('div', { className: 'text', textContent: String(wish.prompt) }),
      make('div', { className: 'about', textContent: about }),
      make('div', { className: 'buttons' }, again, save),
    );
    find('gallery').prepend(item);
  }
  find('news').textContent = `Done: ${wish.prompt}`;
}

/**
 * Fills the form with the settings of a picture.
 *
 * @param {Record<string, unknown>} wish
 * @param {string | number} seed
 */
function use(wish, seed) {
  for (const name of [...TEXTS, ...NUMBERS]) find(name).value = String(wish[name] ?? '');
  find('seed').value = String(seed);
  find('prompt').focus();
}

function askForKey() {
  find('key-row').hidden = false;
  find('key').focus();
}

/** What there is to choose from. */
async function fill() {
  try {
    const { data } = await get('v1/models');
    find('model').replaceChildren(
      ...data.map((/** @type {{ id: string }} */ { id }) => make('option', {}, id)),
    );
    find('model-row').hidden = data.length < 2;
    const samplers = await get('sdapi/v1/samplers');
    const [first] = find('scheduler').children;
    const names = samplers.map((/** @type {{ name: string }} */ { name }) => make('option', {}, name));
    find('scheduler').replaceChildren(/** @type {Node} */ (first), ...names);
    complain('');
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) askForKey();
    else complain(error instanceof Error ? error.message : String(error));
  }
}

form.onsubmit = (event) => {
  event.preventDefault();
  void submit();
};
form.onkeydown = (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
};
find('no-image').onclick = () => {
  find('image').value = '';
};
find('key').value = savedKey();
find('key').onchange = () => {
  saveKey(find('key').value);
  void fill();
};
void fill();
