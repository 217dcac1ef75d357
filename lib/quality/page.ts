import { decibels, similarity } from '../compare/figures.js';
import { dataUri, escapeHtml, pageHead, pageScript } from '../compare/html.js';
import type { Image } from '../images/image.js';
import { frontChart, qualityChart } from './chart.js';
import { pictureSeconds, qualityColumns } from './columns.js';
import {
  type PictureTimes,
  type QualityPicture,
  type QualityReport,
  type QualityRow,
  qualityNotes,
} from './report.js';

/** Pictures with more pixels than that in all are kept small by losing a little; the figures are of those themselves. */
const MAX_LOSSLESS_PIXELS = 2e7;

const PARTS: readonly { part: keyof PictureTimes; title: string }[] = [
  { part: 'prepare', title: 'prompt and noise' },
  { part: 'full', title: 'full U-Net calls' },
  { part: 'cached', title: 'cached U-Net calls' },
  { part: 'around', title: 'around the calls' },
  { part: 'decode', title: 'decoding' },
];

/**
 * One HTML file: similarity over speed, all figures, where the time goes, then for every prompt the pictures of all
 * settings and their differences. Everything that a user wrote is escaped, and never part of the script.
 */
export async function qualityPage(report: QualityReport): Promise<string> {
  const { prompts, rows, seed, device, calls } = report;
  const count = (number: number, what: string) =>
    `${number} ${what}${number === 1 ? '' : 's'}`.replace(/ys$/, 'ies');
  const hasPolicies = rows.some(({ policy }) => policy);
  const kind = hasPolicies ? 'policy' : 'DeepCache setting';
  const title = `${count(rows.length - 1, kind)}, ${count(prompts.length, 'prompt')}`;
  const notes = qualityNotes(report).map(
    (note) => `<li><span title="${escapeHtml(note)}">${escapeHtml(note)}</span></li>`,
  );
  return `${await pageHead(title, ['compare', 'quality'])}
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="about">${calls} U-Net calls, seeds from ${seed}, on ${escapeHtml(device)}</p>
${notes.length > 0 ? `<ul class="notes">\n${notes.join('\n')}\n</ul>` : ''}
${hasPolicies ? frontChart(rows) : qualityChart(rows)}
<h2>Figures</h2>
${figures(report)}
${references(rows)}
${hasPolicies ? `<h2>Worst pictures</h2>\n${await worstPictures(report)}` : `<h2>Where the time of a picture goes</h2>\n${timesTable(rows)}`}
<h2>Pictures</h2>
${await pictures(report)}
</main>
${await pageScript('quality')}
</body>
</html>
`;
}

function figures(report: QualityReport): string {
  const columns = qualityColumns(report);
  const everything =
    '<input id="everything" type="checkbox" checked aria-label="Show the pictures of all settings">';
  const head = columns.map(({ title, help }, i) =>
    heading(`${i === 0 ? everything : ''}`, escapeHtml(title), help),
  );
  const body = report.rows.map((row, index) => {
    const cells = columns.map(({ text, value }, i) => {
      const shown = escapeHtml(text(row));
      const data = `data-value="${escapeHtml(String(value(row)))}"`;
      return i === 0
        ? `<th scope="row" ${data}><label><input type="checkbox" checked><span>${shown}</span></label></th>`
        : `<td ${data}>${shown}</td>`;
    });
    return `<tr data-setting="${index}">${cells.join('')}</tr>`;
  });
  return table('figures', 'Figures', head, body);
}

function timesTable(rows: readonly QualityRow[]): string {
  const longest = Math.max(...rows.map(pictureSeconds));
  const milliseconds = (value: number) => `<td data-value="${value}">${(1000 * value).toFixed(1)} ms</td>`;
  const head = [
    heading('', 'Setting', 'the DeepCache setting'),
    heading('', 'Time', 'of a whole picture'),
    ...PARTS.map(({ part, title }) => heading(`<span class="key ${part}"></span>`, title, 'on average')),
    heading('', 'in all', 'of a whole picture'),
  ];
  const body = rows.map((row, index) => {
    const bars = PARTS.map(({ part, title }) => {
      const width = Math.max(0, (100 * row.times[part]) / longest).toFixed(2);
      return `<i class="${part}" style="width: ${width}%" title="${title}"></i>`;
    });
    const all = pictureSeconds(row);
    return `<tr data-setting="${index}"><th scope="row" data-value="${escapeHtml(row.name)}">${escapeHtml(row.name)}</th>\
<td data-value="${all}"><div class="bar">${bars.join('')}</div></td>\
${PARTS.map(({ part }) => milliseconds(row.times[part])).join('')}${milliseconds(all)}</tr>`;
  });
  return table('times', 'Times', head, body);
}

function heading(before: string, title: string, help: string): string {
  return `<th scope="col" title="${escapeHtml(help)}">${before} <button type="button">${title}</button></th>`;
}

function table(id: string, label: string, head: readonly string[], body: readonly string[]): string {
  return `<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table id="${id}">
<thead><tr>${head.join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

async function pictures({ prompts, rows }: QualityReport): Promise<string> {
  const shown = prompts.slice(0, rows[0]?.pictures.length ?? 0);
  if (shown.length === 0) return '<p class="about">None were kept.</p>';
  const first = (rows[0] as QualityRow).pictures[0]?.image as Image;
  const encode =
    first.width * first.height * shown.length * rows.length > MAX_LOSSLESS_PIXELS ? smallUri : dataUri;
  const sections = await Promise.all(
    shown.map(async (prompt, i) => {
      const original = await encode(rows[0]?.pictures[i]?.image as Image);
      const each = rows.map(({ name, pictures }, k) =>
        figure({ name, prompt, setting: k }, pictures[i] as QualityPicture, encode),
      );
      return `<section style="--original: url(${original})">
<h3 title="${escapeHtml(prompt)}">${escapeHtml(prompt) || '(the empty prompt)'}</h3>
<div class="pictures">
${(await Promise.all(each)).join('\n')}
</div>
</section>`;
    }),
  );
  const rest =
    shown.length < prompts.length
      ? `<p class="about">Of the first ${shown.length} of ${prompts.length} prompts.</p>`
      : '';
  return `${rest}<div class="tools"><label><input id="difference" type="checkbox"> \
differences from no cache, 8 times as bright</label></div>
${sections.join('\n')}`;
}

/** Which paper or code the policies do as. */
function references(rows: readonly QualityRow[]): string {
  const known = new Map(
    rows.slice(1).flatMap(({ policy }) => (policy ? [[policy.family, policy.reference]] : [])),
  );
  const items = [...known].map(([family, reference]) => `<li>${escapeHtml(`${family}: ${reference}`)}</li>`);
  return items.length > 0 ? `<ul class="notes">\n${items.join('\n')}\n</ul>` : '';
}

/** Of each policy the picture that is least like the one without a cache. */
async function worstPictures({ prompts, rows }: QualityReport): Promise<string> {
  const figures = rows.map(async ({ name, worst }, setting) => {
    if (setting === 0 || !worst || worst.psnr === Infinity) return '';
    const prompt = prompts[worst.prompt] as string;
    return figure({ name: `${name}: ${prompt}`, prompt, setting }, worst, smallUri);
  });
  return `<div class="pictures">\n${(await Promise.all(figures)).join('\n')}\n</div>`;
}

async function figure(
  { name, prompt, setting }: { name: string; prompt: string; setting: number },
  { image, psnr, ssim, wrong }: QualityPicture,
  encode: (image: Image) => Promise<string>,
): Promise<string> {
  const isReference = setting === 0;
  const text = isReference ? 'reference' : `${decibels(psnr)}, SSIM ${similarity(ssim)}`;
  const verdict =
    wrong && wrong.length > 0 ? `<br><span class="wrong">wrong: ${wrong.join(', ')}</span>` : '';
  return `<figure data-setting="${setting}"${isReference ? ' class="reference"' : ''}>\
<div class="pair"><img alt="${escapeHtml(`${prompt}, ${name}`)}" width="${image.width}" height="${image.height}" loading="lazy" src="${await encode(image)}"></div>
<figcaption>${escapeHtml(name)}<br><span>${text}</span>${verdict}</figcaption></figure>`;
}

async function smallUri(image: Image): Promise<string> {
  const data = await image.toBuffer('webp', { metadata: false, quality: 90 });
  return `data:image/webp;base64,${data.toString('base64')}`;
}
