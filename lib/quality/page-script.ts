/** What moves in the page of `quality`: sorting, choosing settings, differences. */
export const QUALITY_SCRIPT = `
'use strict';
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const ofSetting = (setting) => all('[data-setting="' + setting + '"]');

function sortBy(header) {
  const table = header.closest('table');
  const column = [...header.parentElement.children].indexOf(header);
  const descends = header.getAttribute('aria-sort') === 'ascending';
  for (const other of header.parentElement.children) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', descends ? 'descending' : 'ascending');
  const value = (row) => row.children[column].dataset.value;
  const compare = (a, b) => {
    const [x, y] = [Number(value(a)), Number(value(b))];
    return Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b), undefined, { numeric: true }) : x - y;
  };
  const rows = all('tbody tr', table).sort((a, b) => (descends ? compare(b, a) : compare(a, b)));
  table.tBodies[0].append(...rows);
  // Pictures come in the order of the figures.
  if (table.id !== 'figures') return;
  rows.forEach((row, place) => {
    for (const figure of ofSetting(row.dataset.setting)) if (!figure.matches('.reference')) figure.style.order = place;
  });
}

function show() {
  const boxes = all('#figures tbody input');
  for (const box of boxes) {
    const { setting } = box.closest('tr').dataset;
    for (const figure of all('.pictures figure[data-setting="' + setting + '"]')) figure.hidden = !box.checked;
  }
  const everything = document.querySelector('#everything');
  const checked = boxes.filter((box) => box.checked).length;
  everything.checked = checked === boxes.length;
  everything.indeterminate = checked > 0 && checked < boxes.length;
  document.body.classList.toggle('differences', document.querySelector('#difference')?.checked === true);
}

document.addEventListener('click', (event) => {
  const header = event.target.closest('th button')?.closest('th');
  if (header) sortBy(header);
});
document.addEventListener('input', (event) => {
  if (event.target.id === 'everything') for (const box of all('#figures tbody input')) box.checked = event.target.checked;
  show();
});
document.addEventListener('mouseover', (event) => {
  const setting = event.target.closest('[data-setting]')?.dataset.setting;
  for (const element of all('.current')) element.classList.remove('current');
  if (setting) for (const element of ofSetting(setting)) element.classList.add('current');
});
// Browsers restore controls when a page is loaded again.
window.addEventListener('pageshow', show);
show();
`;
