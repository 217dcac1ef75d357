import { decibels, times } from '../compare/figures.js';
import { escapeHtml } from '../compare/html.js';
import type { QualityRow } from './report.js';

const [WIDTH, HEIGHT] = [720, 380];
const MARGIN = { left: 52, right: 16, top: 12, bottom: 44 };
/** With more points their names would cover each other. */
const MAX_NAMES = 8;
/** Colours that the page has for branches; deeper ones share the last. */
export const BRANCH_COLORS = 5;

/** The settings' similarity to the uncached result over their speed, as an SVG: what lies to the right and above is better. */
export function qualityChart(rows: readonly QualityRow[]): string {
  const points = rows
    .map((row, i) => ({ row, i }))
    .filter(({ row }) => row.cache !== false && Number.isFinite(row.psnr));
  if (points.length === 0) return '';
  const x = axis(
    points.map(({ row }) => row.speedup),
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const y = axis(
    points.map(({ row }) => row.psnr),
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  );
  const bottom = HEIGHT - MARGIN.bottom;
  const grid = [
    ...x.ticks.map(
      (value) => `<path d="M${x.at(value)} ${MARGIN.top}V${bottom}"/>
<text x="${x.at(value)}" y="${bottom + 18}" text-anchor="middle">${trim(value)}×</text>`,
    ),
    ...y.ticks.map(
      (value) => `<path d="M${MARGIN.left} ${y.at(value)}H${WIDTH - MARGIN.right}"/>
<text x="${MARGIN.left - 8}" y="${y.at(value)}" dy=".35em" text-anchor="end">${trim(value)}</text>`,
    ),
  ];
  const dots = points.map(({ row, i }) => {
    const title = `${row.name}: ${decibels(row.psnr)}, ${times(row.speedup)}`;
    const [left, top] = [x.at(row.speedup), y.at(row.psnr)];
    const kind = `branch${Math.min(branchOf(row), BRANCH_COLORS - 1)}${isEven(row) ? '' : ' uneven'}`;
    // Towards the middle, so that it stays inside.
    const side = left > WIDTH / 2 ? `x="${left - 9}" text-anchor="end"` : `x="${left + 9}"`;
    const name = `<text ${side} y="${top}" dy=".35em">${escapeHtml(row.name)}</text>`;
    return `<g data-setting="${i}"><circle class="${kind}" cx="${left}" cy="${top}" r="5"><title>${escapeHtml(title)}</title></circle>${points.length <= MAX_NAMES ? name : ''}</g>`;
  });
  return `<figure class="chart">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Similarity over speed of all settings; the figures are in the table">
<g class="grid">${grid.join('\n')}</g>
<text class="title" x="${(MARGIN.left + WIDTH) / 2}" y="${HEIGHT - 6}" text-anchor="middle">speedup of denoising</text>
<text class="title" transform="translate(12 ${bottom / 2}) rotate(-90)" text-anchor="middle">PSNR in dB</text>
${dots.join('\n')}
</svg>
<figcaption>${legend(points.map(({ row }) => row))}</figcaption>
</figure>`;
}

/** Numbers to pixels, with round numbers on the way. */
function axis(values: readonly number[], [from, to]: readonly [number, number]) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(0.08 * (high - low), 0.02 * Math.abs(high), 0.01);
  const [start, end] = [low - room, high + room];
  const at = (value: number) => Number((from + ((value - start) / (end - start)) * (to - from)).toFixed(1));
  const rough = (end - start) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number) * power;
  const first = Math.ceil(start / step);
  const ticks = Array.from({ length: Math.floor(end / step) - first + 1 }, (_, i) => (first + i) * step);
  return { at, ticks };
}

const trim = (value: number) => String(Number(value.toFixed(3)));

const branchOf = ({ cache }: QualityRow) => (typeof cache === 'object' ? (cache.branch ?? 0) : 0);

/** Whether full calls are evenly spaced. */
function isEven({ cache }: QualityRow): boolean {
  return typeof cache !== 'object' || (cache.schedule !== 'nonuniform' && !cache.steps);
}

function legend(rows: readonly QualityRow[]): string {
  const sample = (kind: string, text: string) =>
    `<span><svg viewBox="0 0 12 12" aria-hidden="true"><circle class="${kind}" cx="6" cy="6" r="4.5"/></svg> ${text}</span>`;
  const branches = [...new Set(rows.map(branchOf))].sort((a, b) => a - b);
  const kinds = branches.map((branch) =>
    sample(`branch${Math.min(branch, BRANCH_COLORS - 1)}`, `branch ${branch}`),
  );
  return [...kinds, ...(rows.every(isEven) ? [] : [sample('uneven', 'not evenly spaced')])].join('\n');
}
