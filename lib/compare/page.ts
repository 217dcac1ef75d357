import type { ComparedPictures, ComparedRun } from './compared-run.js';
import { COLUMNS, differenceText } from './figures.js';
import { dataUri, escapeHtml, pageHead, pageScript } from './html.js';

/** Pictures narrower than this are shown enlarged, with their pixels visible. */
const SMALL = 384;

/** One HTML file. Everything that a user wrote (prompts, names) is escaped, and never part of the script. */
export async function comparisonPage(comparison: ComparedPictures): Promise<string> {
  const { reference, runs, titles, seeds, device } = comparison;
  const { width, height } = reference.image;
  const seed = `seed${seeds.length > 1 ? 's' : ''} ${seeds.join(', ')}`;
  const title =
    titles.length === 1 ? (titles[0] as string) : `${titles.length} pictures with and without DeepCache`;
  const all = [reference, ...runs];
  const pictures = await Promise.all(all.map((run, i) => runPictures(run, i, titles)));
  return `${await pageHead(`DeepCache: ${title}`, ['compare'])}
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="about">${width}×${height}, ${reference.stats.calls} U-Net calls, ${escapeHtml(seed)}, on ${escapeHtml(device)}</p>
<noscript><p>The slider needs JavaScript; the figures are below.</p></noscript>
<div class="controls">
${choices(
  'setting',
  'Setting',
  runs.map(({ name }) => name),
)}
${titles.length > 1 ? choices('row', 'Picture', titles) : ''}
</div>
<figure style="--width: ${width}; --height: ${height}">
<div class="stage${width < SMALL ? ' small' : ''}">
<div class="pictures">
${pictures.flat().join('\n')}
</div>
<div class="bar"></div>
<span class="name left">${escapeHtml(reference.name)}</span>
<span class="name right"></span>
</div>
<input id="wipe" type="range" min="0" max="100" step="1" value="50" aria-label="Where the cached picture begins">
<figcaption>
<output for="wipe setting"></output>
<label><input id="difference" type="checkbox"> difference, 8 times as bright</label>
</figcaption>
</figure>
${table(all)}
</main>
${await pageScript('compare')}
</body>
</html>
`;
}

async function runPictures(run: ComparedRun, index: number, titles: readonly string[]): Promise<string[]> {
  return Promise.all(
    run.images.map(async (image, row) => {
      const difference = run.differences[row];
      const text = index === 0 || !difference ? '' : differenceText(difference);
      const alt = `${titles[row]}, ${run.name}`;
      return `<img data-run="${index}" data-row="${row}" data-figures="${escapeHtml(text)}" alt="${escapeHtml(alt)}" src="${await dataUri(image)}" draggable="false" hidden>`;
    }),
  );
}

/** Radio buttons; the values of settings count from 1, since run 0 is the reference. */
function choices(name: 'setting' | 'row', title: string, labels: readonly string[]): string {
  const first = name === 'setting' ? 1 : 0;
  const buttons = labels.map((label, i) => {
    const checked = i === 0 ? ' checked' : '';
    return `<label><input type="radio" name="${name}" value="${i + first}"${checked}><span>${escapeHtml(label)}</span></label>`;
  });
  return `<fieldset class="${name}"><legend>${title}</legend>${buttons.join('\n')}</fieldset>`;
}

function table(runs: readonly ComparedRun[]): string {
  const cells = (tag: string, texts: readonly string[]) =>
    texts.map((text, i) => (i === 0 ? `<th scope="row">${text}</th>` : `<${tag}>${text}</${tag}>`)).join('');
  const head = COLUMNS.map(({ title, help }) => `<th scope="col" title="${help}">${title}</th>`).join('');
  const rows = runs.map((run, i) => {
    const texts = COLUMNS.map(({ text }) => escapeHtml(text(run)));
    return `<tr data-run="${i}">${cells('td', texts)}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table>
<caption>Of all pictures together</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}
