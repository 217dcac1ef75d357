import { decibels } from '../compare/figures.js';
import { escapeHtml, PAGE_POLICY } from '../compare/html.js';
import { PAGE_STYLE } from '../compare/page-style.js';
import type { Image } from '../images/image.js';
import { psnr } from '../metrics/psnr.js';
import { type QualityReport, qualityTable } from './report.js';

const STYLE = `${PAGE_STYLE}
main { max-width: none; }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; overflow-wrap: anywhere; }
.pictures { position: static; display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .75rem; }
.pictures figure { margin: 0; width: auto; }
.pictures img { position: static; clip-path: none !important; height: auto; border-radius: 4px; }
figcaption { display: block; line-height: 1.3; }
figcaption span { color: var(--pale); }
`;

/** One HTML file: the figures, then for every prompt the pictures of all settings. */
export async function qualityPage(report: QualityReport): Promise<string> {
  const { prompts, rows, seed, device, calls } = report;
  const title = `${rows.length - 1} DeepCache settings, ${prompts.length} prompts`;
  const shown = prompts.slice(0, rows[0]?.images.length ?? 0);
  const sections = await Promise.all(shown.map((prompt, i) => section(report, prompt, i)));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p class="about">${calls} U-Net calls, seeds from ${seed}, on ${escapeHtml(device)}</p>
${figures(report)}
${sections.join('\n')}
</main>
</body>
</html>
`;
}

function figures(report: QualityReport): string {
  const [titles = [], ...lines] = qualityTable(report);
  const head = titles.map((text) => `<th scope="col">${escapeHtml(text)}</th>`).join('');
  const body = lines.map(([name = '', ...texts]) => {
    const cells = texts.map((text) => `<td>${escapeHtml(text)}</td>`).join('');
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

async function section({ rows }: QualityReport, prompt: string, index: number): Promise<string> {
  const reference = rows[0]?.images[index];
  const pictures = await Promise.all(
    rows.map(async ({ name, images }) => {
      const image = images[index];
      if (!image || !reference) return '';
      const text = image === reference ? 'reference' : decibels(psnr(image, reference));
      return `<figure><img alt="${escapeHtml(`${prompt}, ${name}`)}" src="${await smallUri(image)}">
<figcaption>${escapeHtml(name)}<br><span>${text}</span></figcaption></figure>`;
    }),
  );
  return `<h2>${escapeHtml(prompt)}</h2>\n<div class="pictures">\n${pictures.join('\n')}\n</div>`;
}

/** Lossy, of high quality: a page has hundreds of pictures. The figures are of those themselves. */
async function smallUri(image: Image): Promise<string> {
  const data = await image.toBuffer('webp', { metadata: false, quality: 90 });
  return `data:image/webp;base64,${data.toString('base64')}`;
}
