// The server's page: a form, the jobs that wait and run, and the pictures that were made.
import { cancel, follow, get, Refusal, savedKey, saveKey } from './serve-api.js';
import { asUrl, complain, fillChoice, find, make, messageOf } from './serve-dom.js';
import { show } from './serve-gallery.js';
import { paintMask, startFrom, startOf } from './serve-mask.js';
import { networksOf, offer, useNetworks } from './serve-networks.js';
import { setCosts, showSpeed } from './serve-speed.js';

/** @typedef {import('./serve-gallery.js').Wish} Wish */

const form = /** @type {HTMLFormElement} */ (find('wish'));
const TEXTS = ['prompt', 'negativePrompt', 'model', 'cache', 'scheduler', 'seed'];
const NUMBERS = ['steps', 'width', 'height', 'guidanceScale', 'numImages'];
/** The model's own settings of the cache, which are no preset. */
const OWN_CACHE = 'settings';
/** Previews of a run. */
const PREVIEW_EVERY = 2;

/** What the form says, in the words of the API. */
async function wishOf() {
  /** @type {Wish} */
  const wish = { previewEvery: PREVIEW_EVERY };
  for (const name of TEXTS) if (find(name).value !== '') wish[name] = find(name).value;
  for (const name of NUMBERS) if (find(name).value !== '') wish[name] = Number(find(name).value);
  // Where nothing is said the model's own cache is used.
  if (wish.cache === undefined) wish.cache = false;
  if (wish.cache === OWN_CACHE) delete wish.cache;
  return { ...wish, ...startOf(), ...(await networksOf()) };
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

/**
 * Makes pictures, and puts them into the gallery.
 *
 * @param {Wish} wish
 * @returns {Promise<import('./serve-gallery.js').Made[]>}
 */
async function submit(wish) {
  complain('');
  const line = lineOf(String(wish.prompt ?? ''));
  find('queue').append(line.item);
  let isRefused = false;
  try {
    for await (const { event, data } of follow(wish)) {
      if (event === 'queued') {
        line.button.onclick = () => void cancel(data.id).catch((error) => complain(error.message));
        const left = data.secondsLeft === undefined ? '' : `, about ${Math.ceil(data.secondsLeft)} s`;
        line.about.textContent = data.position > 0 ? `waits, ${data.position - 1} before it${left}` : 'waits';
      }
      if (event === 'started') line.about.textContent = 'begins';
      if (event === 'step') {
        line.bar.value = data.call / data.calls;
        line.about.textContent = `step ${data.step} of ${data.steps}${data.kind === 'full' ? '' : ', from the cache'}`;
        if (data.preview) Object.assign(line.picture, { src: data.preview, hidden: false });
      }
      if (event === 'failed') complain(data.error.message);
      if (event === 'done') return await show(wish, data, { use, startFrom: start, submit });
    }
  } catch (error) {
    isRefused = true;
    complain(messageOf(error));
    if (error instanceof Refusal && error.status === 401) askForKey();
  } finally {
    line.item.remove();
    if (isRefused) find('prompt').focus();
  }
  return [];
}

/** @param {Blob} picture that was made */
async function start(picture) {
  await startFrom(await asUrl(picture));
  find('strength').focus();
}

/**
 * Fills the form with the settings of a picture.
 *
 * @param {Wish} wish
 * @param {string | number} seed
 */
async function use(wish, seed) {
  for (const name of [...TEXTS, ...NUMBERS]) find(name).value = String(wish[name] || '');
  if (wish.model === undefined) find('model').value = models[0]?.name ?? '';
  find('seed').value = String(seed);
  if (wish.cache === undefined) find('cache').value = OWN_CACHE;
  showModel();
  useNetworks(wish);
  for (const name of ['strength', 'maskBlur']) find(name).value = String(wish[name] ?? '');
  await startFrom(/** @type {string | undefined} */ (wish.image));
  if (wish.maskImage) await paintMask(String(wish.maskImage));
  find('prompt').focus();
}

function askForKey() {
  find('key-row').hidden = false;
  find('key').focus();
}

/** @type {any[]} */
let models = [];

/** The one that is chosen. */
const modelOf = () => models.find(({ name }) => name === find('model').value) ?? models[0];

/** Shows what it has. */
function showModel() {
  const model = modelOf();
  if (!model) return;
  offer(model);
  const own = /** @type {HTMLOptionElement} */ (/** @type {unknown} */ (find('own-cache')));
  own.hidden = own.disabled = model.cache !== OWN_CACHE;
  if (own.disabled && find('cache').value === OWN_CACHE) find('cache').value = '';
  setCosts(model);
  for (const [id, value] of Object.entries({
    ...{ steps: model.steps, guidanceScale: model.guidanceScale, width: model.width, height: model.height },
  }))
    find(id).placeholder = value === undefined ? "the model's" : String(value);
}

/** Shows it, with its own cache where it has one. */
function chooseModel() {
  const cache = modelOf()?.cache;
  if (cache) find('cache').value = cache;
  showModel();
}

/** What there is to choose from. */
async function fill() {
  try {
    ({ models } = await get('api/models'));
    fillChoice(
      'model',
      models.map(({ name }) => name),
    );
    find('model-row').hidden = models.length < 2;
    chooseModel();
    const samplers = await get('sdapi/v1/samplers');
    fillChoice(
      'scheduler',
      samplers.map((/** @type {{ name: string }} */ { name }) => name),
      "the model's",
    );
    complain('');
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) askForKey();
    else complain(messageOf(error));
  }
}

form.onsubmit = async (event) => {
  event.preventDefault();
  try {
    await submit(await wishOf());
  } catch (error) {
    complain(messageOf(error));
  }
};
form.onkeydown = (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
};
find('model').onchange = chooseModel;
find('key').value = savedKey();
find('key').onchange = () => {
  saveKey(find('key').value);
  void fill();
};
showSpeed();
void fill();
