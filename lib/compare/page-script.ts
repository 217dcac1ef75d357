/** What moves in the page of a comparison. Knows the page's elements, and nothing of its texts. */
export const PAGE_SCRIPT = `
'use strict';
const find = (selector) => document.querySelector(selector);
const stage = find('.stage');
const wipe = find('#wipe');
const pictures = [...document.querySelectorAll('.pictures img')];
const chosen = (name) => find('input[name=' + name + ']:checked')?.value ?? '0';

function show() {
  const run = chosen('setting');
  const row = chosen('row');
  let figures = '';
  for (const picture of pictures) {
    const isShown = picture.dataset.row === row && (picture.dataset.run === '0' || picture.dataset.run === run);
    picture.hidden = !isShown;
    if (isShown) figures = picture.dataset.figures || figures;
  }
  for (const line of document.querySelectorAll('tbody tr')) {
    line.classList.toggle('current', line.dataset.run === run);
  }
  find('.name.right').textContent = find('input[name=setting]:checked + span').textContent;
  find('output').textContent = figures;
  stage.classList.toggle('difference', find('#difference').checked);
  stage.style.setProperty('--at', wipe.value + '%');
}

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
`;
