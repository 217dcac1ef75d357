/** What moves in the page of a comparison. Knows the page's elements, and nothing of its texts. */

const stage = /** @type {HTMLElement} */ (document.querySelector('.stage'));
const wipe = /** @type {HTMLInputElement} */ (document.querySelector('#wipe'));
const difference = /** @type {HTMLInputElement} */ (document.querySelector('#difference'));
const output = /** @type {HTMLOutputElement} */ (document.querySelector('output'));
const rightName = /** @type {HTMLElement} */ (document.querySelector('.name.right'));
/** @type {NodeListOf<HTMLImageElement>} */
const pictures = document.querySelectorAll('.pictures img');
/** @type {NodeListOf<HTMLTableRowElement>} */
const lines = document.querySelectorAll('tbody tr');

/** @param {'setting' | 'row'} name */
function chosen(name) {
  /** @type {HTMLInputElement | null} */
  const input = document.querySelector(`input[name=${name}]:checked`);
  return { value: input?.value ?? '0', text: input?.nextElementSibling?.textContent ?? '' };
}

function show() {
  const setting = chosen('setting');
  const row = chosen('row').value;
  let figures = '';
  for (const picture of pictures) {
    const { run } = picture.dataset;
    const isShown = picture.dataset.row === row && (run === '0' || run === setting.value);
    picture.hidden = !isShown;
    if (isShown) figures = picture.dataset.figures || figures;
  }
  for (const line of lines) line.classList.toggle('current', line.dataset.run === setting.value);
  rightName.textContent = setting.text;
  output.textContent = figures;
  stage.classList.toggle('difference', difference.checked);
  stage.style.setProperty('--at', `${wipe.value}%`);
}

/** @param {PointerEvent} event */
function moveTo(event) {
  const { left, width } = stage.getBoundingClientRect();
  wipe.value = String(((event.clientX - left) / width) * 100);
  show();
}
stage.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  stage.setPointerCapture(event.pointerId);
  moveTo(event);
  wipe.focus({ preventScroll: true });
  event.preventDefault();
});
stage.addEventListener('pointermove', (event) => {
  if (stage.hasPointerCapture(event.pointerId)) moveTo(event);
});
document.addEventListener('input', show);
// Browsers restore controls when a page is loaded again.
window.addEventListener('pageshow', show);
show();
