// Two pictures, one over the other, and a line between them that moves.
import { find } from './serve-dom.js';

/** @typedef {{ source: string, alt: string, about: string, button: HTMLButtonElement }} Shown */

const dialog = /** @type {HTMLDialogElement} */ (/** @type {unknown} */ (find('compare')));
const stage = /** @type {HTMLElement} */ (dialog.querySelector('.stage'));
const wipe = find('wipe');
/** @type {Shown | undefined} */
let chosen;

/** Takes a picture for one of the two; with the second they are shown. @param {Shown} picture */
export function choose(picture) {
  if (chosen?.button === picture.button) return forget();
  if (!chosen) {
    chosen = picture;
    picture.button.setAttribute('aria-pressed', 'true');
    find('news').textContent = 'Chosen; now choose the other one';
    return;
  }
  const other = chosen;
  forget();
  compare(other, picture);
}

function forget() {
  chosen?.button.setAttribute('aria-pressed', 'false');
  chosen = undefined;
}

/** @param {Omit<Shown, 'button'>} left @param {Omit<Shown, 'button'>} right */
export function compare(left, right) {
  for (const [side, { source, alt, about }] of /** @type {const} */ ([
    ['left', left],
    ['right', right],
  ])) {
    Object.assign(find(side), { src: source, alt: `${side === 'left' ? 'Left' : 'Right'}: ${alt}` });
    find(`${side}-text`).textContent = about;
  }
  wipe.value = '50';
  move();
  dialog.showModal();
  wipe.focus();
}

function move() {
  stage.style.setProperty('--at', `${wipe.value}%`);
}

/** @param {PointerEvent} event */
function moveTo(event) {
  const { left, width } = stage.getBoundingClientRect();
  wipe.value = String(((event.clientX - left) / width) * 100);
  move();
}
stage.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  stage.setPointerCapture(event.pointerId);
  moveTo(event);
  event.preventDefault();
});
stage.addEventListener('pointermove', (event) => {
  if (stage.hasPointerCapture(event.pointerId)) moveTo(event);
});
wipe.addEventListener('input', move);
dialog.addEventListener('click', (event) => {
  // Beside it.
  if (event.target === dialog) dialog.close();
});
