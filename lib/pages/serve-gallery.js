// The pictures that were made since the page was opened.
import { choose, compare } from './serve-compare.js';
import { complain, find, make, messageOf } from './serve-dom.js';

/** @typedef {Record<string, unknown>} Wish */
/** @typedef {{ source: string, alt: string, about: string, element: HTMLElement }} Made */

/** Pictures narrower than this are shown with their pixels visible. */
const SMALL = 200;

/**
 * What its buttons do.
 *
 * @typedef {object} Actions
 * @property {(wish: Wish, seed: string | number) => void} use fills the form
 * @property {(picture: Blob) => void} startFrom takes it as the picture to start from
 * @property {(wish: Wish) => Promise<Made[]>} submit makes pictures, which it puts into the gallery
 */

/**
 * Puts the pictures of a job into the gallery.
 *
 * @param {Wish} wish
 * @param {any} job
 * @param {Actions} actions
 */
export async function show(wish, job, actions) {
  /** @type {Made[]} */
  const made = [];
  for (const [i, { url, width, height }] of job.images.entries()) {
    // The server forgets it after a while. It is beside this page, whatever its address begins with for others.
    const blob = await (await fetch(url.slice(url.lastIndexOf('/files/') + 1))).blob();
    const source = URL.createObjectURL(blob);
    const seed = job.seeds[i] ?? job.seeds[0];
    const faster =
      job.speedup > 1.005 ? `, ${job.speedup.toFixed(2)} times as fast as without the cache` : '';
    const alt = String(wish.prompt);
    const image = make('img', { src: source, alt, width, height });
    image.classList.toggle('small', width < SMALL);
    const about = `${width}×${height}, seed ${seed}, ${job.seconds.toFixed(1)} s${faster}`;
    const buttons = make('div', { className: 'buttons' });
    const item = make(
      'li',
      {},
      image,
      make('div', { className: 'text', textContent: alt }),
      make('div', { className: 'about', textContent: about }),
      make(
        'details',
        { className: 'settings' },
        make('summary', { textContent: 'Settings' }),
        make('pre', { textContent: job.settings?.[i] ?? '' }),
      ),
      buttons,
    );
    const one = { source, alt, about, element: item };
    const pick = make('button', { type: 'button', textContent: 'Compare' });
    pick.setAttribute('aria-pressed', 'false');
    pick.onclick = () => choose({ ...one, button: pick });
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
      make('button', { type: 'button', textContent: text, onclick });
    buttons.append(
      button('Use settings', () => actions.use(wish, seed)),
      button('Start from it', () => actions.startFrom(blob)),
      pick,
      ...(wish.cache
        ? [button('Against no cache', () => void againstNone(one, { ...wish, seed, numImages: 1 }, actions))]
        : []),
      make('a', { href: source, download: `${seed}-${i}.png`, textContent: 'Save' }),
    );
    find('gallery').prepend(item);
    made.push(one);
  }
  find('news').textContent = `Done: ${wish.prompt}`;
  return made;
}

/**
 * Makes a picture again without the cache, and shows both.
 *
 * @param {Made} made
 * @param {Wish} wish
 * @param {Actions} actions
 */
async function againstNone(made, wish, actions) {
  try {
    const [plain] = await actions.submit({ ...wish, cache: false });
    if (plain)
      compare(
        { ...made, about: `With the cache: ${made.about}` },
        { ...plain, about: `Without: ${plain.about}` },
      );
  } catch (error) {
    complain(messageOf(error));
  }
}
