/** What moves in the page of `quality`: sorting, choosing settings, differences. */

/** @type {NodeListOf<HTMLInputElement>} */
const boxes = document.querySelectorAll('#figures tbody input');
const everything = /** @type {HTMLInputElement} */ (document.querySelector('#everything'));
/** Missing where no pictures were kept. */
const difference = /** @type {HTMLInputElement | null} */ (document.querySelector('#difference'));

/**
 * @param {string | undefined} setting
 * @returns {NodeListOf<HTMLElement>}
 */
const ofSetting = (setting) => document.querySelectorAll(`[data-setting="${setting}"]`);

/**
 * Texts by their numbers where both are numbers.
 *
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}

/** @param {HTMLTableCellElement} header */
function sortBy(header) {
  const table = /** @type {HTMLTableElement} */ (header.closest('table'));
  const headers = /** @type {HTMLTableRowElement} */ (header.parentElement).cells;
  const descends = header.getAttribute('aria-sort') === 'ascending';
  for (const other of headers) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', descends ? 'descending' : 'ascending');
  const body = /** @type {HTMLTableSectionElement} */ (table.tBodies[0]);
  /** @param {HTMLTableRowElement} row */
  const value = (row) => row.cells[header.cellIndex]?.dataset.value ?? '';
  const rows = [...body.rows].sort((a, b) => {
    const order = compare(value(a), value(b));
    return descends ? -order : order;
  });
  body.append(...rows);
  // Pictures come in the order of the figures.
  if (table.id !== 'figures') return;
  rows.forEach((row, place) => {
    for (const figure of ofSetting(row.dataset.setting)) {
      if (!figure.matches('.reference')) figure.style.order = String(place);
    }
  });
}

function show() {
  for (const box of boxes) {
    const { setting } = /** @type {HTMLTableRowElement} */ (box.closest('tr')).dataset;
    for (const element of ofSetting(setting)) {
      if (element.matches('.pictures figure')) element.hidden = !box.checked;
    }
  }
  const checked = [...boxes].filter((box) => box.checked).length;
  everything.checked = checked === boxes.length;
  everything.indeterminate = checked > 0 && checked < boxes.length;
  document.body.classList.toggle('differences', difference?.checked === true);
}

document.addEventListener('click', ({ target }) => {
  const header = /** @type {Element} */ (target).closest('th button')?.closest('th');
  if (header) sortBy(header);
});
document.addEventListener('input', ({ target }) => {
  if (target === everything) for (const box of boxes) box.checked = everything.checked;
  show();
});
document.addEventListener('mouseover', ({ target }) => {
  /** @type {HTMLElement | null} */
  const element = /** @type {Element} */ (target).closest('[data-setting]');
  for (const current of document.querySelectorAll('.current')) current.classList.remove('current');
  if (element) for (const current of ofSetting(element.dataset.setting)) current.classList.add('current');
});
// Browsers restore controls when a page is loaded again.
window.addEventListener('pageshow', show);
show();
