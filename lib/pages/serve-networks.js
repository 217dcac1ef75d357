// Adapters and networks of a model, which a picture names.
import { asUrl, fillChoice, find, make } from './serve-dom.js';

/** @typedef {{ name: string, loras?: string[], controlNets?: string[], t2iAdapters?: string[], ipAdapters?: string[], upscalers?: { name: string, scale?: number }[] }} Named */

const PREPROCESSORS = ['none', 'canny', 'blur', 'tile', 'invert'];

/** A row of a list, which can be taken away. @param {string} list @param {string} name @param {...HTMLElement} fields */
function addRow(list, name, ...fields) {
  const remove = make('button', { type: 'button', textContent: 'Remove' });
  remove.setAttribute('aria-label', `Remove ${name}`);
  const title = make('strong', { className: 'text', textContent: name });
  const item = make('li', {}, make('div', { className: 'row' }, title, remove), ...fields);
  item.dataset.name = name;
  remove.onclick = () => item.remove();
  find(list).append(item);
  return item;
}

/** A number with a name that is read out. @param {string} label @param {string} of @param {Partial<HTMLInputElement>} properties */
function numberOf(label, of, properties) {
  const input = make('input', { type: 'number', ...properties });
  input.setAttribute('aria-label', `${label} of ${of}`);
  return { input, field: make('label', {}, `${label} `, input) };
}

/** @param {string} name @param {number} [scale] */
function addLora(name, scale = 1) {
  if (find('loras').querySelector(`li[data-name="${CSS.escape(name)}"]`)) return;
  const { input, field } = numberOf('How much', name, {
    min: '-2',
    max: '2',
    step: '0.05',
    value: String(scale),
  });
  addRow('loras', name, field);
  input.dataset.field = 'scale';
}

/** @typedef {{ image?: string, scale?: number, preprocess?: string }} Seen */

/** A row of a network that sees a picture. @param {string} list @param {string} name @param {Seen} given @param {...HTMLElement} more */
function addSeeing(list, name, given, ...more) {
  const file = make('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp' });
  file.setAttribute('aria-label', `Picture for ${name}`);
  const seen = make('img', { alt: `What ${name} sees`, hidden: true, className: 'seen' });
  const show = (/** @type {string} */ url) => Object.assign(seen, { src: url, hidden: false });
  file.onchange = async () => {
    const [chosen] = file.files ?? [];
    if (chosen) show(await asUrl(chosen));
  };
  if (given.image) show(given.image);
  const { input, field } = numberOf('How much', name, {
    min: '0',
    max: '2',
    step: '0.05',
    value: String(given.scale ?? 1),
  });
  input.dataset.field = 'scale';
  const fields = make('div', { className: 'fields' }, field, ...more);
  addRow(list, name, make('label', {}, 'Picture ', file), seen, fields);
}

/** @param {string} name @param {Seen} [given] */
function addControl(name, given = {}) {
  const how = make('select', {}, ...PREPROCESSORS.map((one) => make('option', { textContent: one })));
  how.setAttribute('aria-label', `Preprocessor of ${name}`);
  how.value = given.preprocess ?? 'none';
  addSeeing('controls', name, given, make('label', {}, 'Made of it ', how));
}

/** @param {string} name @param {Seen} [given] */
function addSketch(name, given = {}) {
  addSeeing('sketches', name, given);
}

/** Lists of what was added. */
const LISTS = ['loras', 'controls', 'sketches'];

/** Offers what a model has. @param {Named} model */
export function offer({ loras = [], controlNets = [], t2iAdapters = [], ipAdapters = [], upscalers = [] }) {
  const rows = /** @type {const} */ ([
    ['lora', loras, undefined],
    ['control', controlNets, undefined],
    ['sketch', t2iAdapters, undefined],
    ['face', ipAdapters, 'none'],
    ['upscaler', upscalers.map(({ name }) => name), 'nothing'],
  ]);
  for (const [id, names, none] of rows) {
    fillChoice(id, names, none);
    /** @type {HTMLElement} */ (find(id).closest('.picker, .fields')).hidden = names.length === 0;
  }
  find('networks').hidden = rows.every(([, names]) => names.length === 0);
  for (const list of LISTS) find(list).replaceChildren();
}

/** @param {Element} item @param {string} selector */
const valueIn = (item, selector) => /** @type {HTMLInputElement} */ (item.querySelector(selector)).value;

/** One is sent as itself. @template T @param {T[]} list */
const oneOrAll = (list) => (list.length === 1 ? list[0] : list);

/** What the form says of them, in the words of the API. @returns {Promise<Record<string, unknown>>} */
export async function networksOf() {
  const items = (/** @type {string} */ id) => /** @type {HTMLElement[]} */ ([...find(id).children]);
  const loras = items('loras').map((item) => ({
    name: item.dataset.name,
    scale: Number(valueIn(item, '[data-field=scale]')),
  }));
  const seeing = (/** @type {HTMLElement} */ item) => {
    const { src, hidden } = /** @type {HTMLImageElement} */ (item.querySelector('.seen'));
    if (hidden) throw new Error(`${item.dataset.name} needs a picture to see`);
    return { name: item.dataset.name, image: src, scale: Number(valueIn(item, '[data-field=scale]')) };
  };
  const units = items('controls').map((item) => ({ ...seeing(item), preprocess: valueIn(item, 'select') }));
  const sketches = items('sketches').map(seeing);
  const [face] = find('face-image').files ?? [];
  const faceName = find('face').value;
  const faceScale = find('face-scale').value;
  const upscaler = find('upscaler').value;
  const times = find('upscale-scale').value;
  if (faceName !== '' && !face) throw new Error(`${faceName} needs a picture to see`);
  return {
    ...(loras.length > 0 && { loras }),
    ...(units.length > 0 && {
      controlNets: units.map(({ name }) => name),
      controlImage: oneOrAll(units.map(({ image }) => image)),
      controlScale: units.map(({ scale }) => scale),
      controlPreprocess: units.map(({ preprocess }) => preprocess),
    }),
    ...(sketches.length > 0 && {
      t2iAdapters: sketches.map(({ name }) => name),
      t2iAdapterImage: oneOrAll(sketches.map(({ image }) => image)),
      t2iAdapterScale: sketches.map(({ scale }) => scale),
    }),
    ...(face && faceName !== '' && { ipAdapters: [faceName], ipAdapterImage: await asUrl(face) }),
    ...(face && faceName !== '' && faceScale !== '' && { ipAdapterScale: Number(faceScale) }),
    ...(upscaler !== '' && { upscale: { upscaler, ...(times !== '' && { scale: Number(times) }) } }),
  };
}

/** Fills the form with those of a picture; a picture beside the prompt has to be chosen again. @param {any} wish */
export function useNetworks({
  loras = [],
  controlNets = [],
  controlImage,
  controlScale = [],
  controlPreprocess = [],
  t2iAdapters = [],
  t2iAdapterImage,
  t2iAdapterScale = [],
  upscale,
}) {
  for (const list of LISTS) find(list).replaceChildren();
  for (const { name, scale } of loras) addLora(name, scale);
  for (const [i, name] of controlNets.entries())
    addControl(name, {
      image: [controlImage].flat()[i],
      scale: controlScale[i],
      preprocess: controlPreprocess[i],
    });
  for (const [i, name] of t2iAdapters.entries())
    addSketch(name, { image: [t2iAdapterImage].flat()[i], scale: t2iAdapterScale[i] });
  find('upscaler').value = upscale?.upscaler ?? '';
  find('upscale-scale').value = String(upscale?.scale ?? '');
  const isAny = [loras, controlNets, t2iAdapters].some(({ length }) => length > 0);
  if (isAny || upscale) find('networks').toggleAttribute('open', true);
}

find('add-lora').onclick = () => addLora(find('lora').value);
find('add-control').onclick = () => addControl(find('control').value);
find('add-sketch').onclick = () => addSketch(find('sketch').value);
