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
  const { x, y, grid } = plane(
    points.map(({ row }) => [row.speedup, row.psnr]),
    ['speedup of denoising', 'PSNR in dB'],
  );
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
${grid}
${dots.join('\n')}
</svg>
<figcaption>${legend(points.map(({ row }) => row))}</figcaption>
</figure>`;
}

/**
 * Policies' likeness over what they cost by multiply-accumulates, those of a kind joined: its front. The further to the
 * right, the cheaper.
 */
export function frontChart(rows: readonly QualityRow[]): string {
  const points = rows
    .map((row, i) => ({ row, i }))
    .filter(({ row, i }) => i > 0 && Number.isFinite(row.meanPsnr));
  if (points.length === 0) return '';
  const { x, y, grid } = plane(
    points.map(({ row }) => [row.macsSpeedup, row.meanPsnr]),
    ['cheaper by so many times, by multiply-accumulates', 'PSNR in dB, mean'],
  );
  const families = [...new Set(points.map(({ row }) => row.policy?.family ?? ''))];
  const color = (family: string | undefined) =>
    `hsl(${Math.round((360 * families.indexOf(family ?? '')) / families.length)} 65% 45%)`;
  const lines = families.map((family) => {
    const own = points.filter(({ row }) => row.policy?.family === family).map(({ row }) => row);
    own.sort((a, b) => a.macsSpeedup - b.macsSpeedup);
    const path = own.map((row) => `${x.at(row.macsSpeedup)} ${y.at(row.meanPsnr)}`).join('L');
    return `<path d="M${path}" fill="none" stroke="${color(family)}" stroke-opacity=".5"/>`;
  });
  const dots = points.map(({ row, i }) => {
    const title = `${row.name}: ${decibels(row.meanPsnr)}, cheaper by ${times(row.macsSpeedup)}`;
    return `<g data-setting="${i}"><circle style="fill: ${color(row.policy?.family)}" cx="${x.at(row.macsSpeedup)}" cy="${y.at(row.meanPsnr)}" r="4"><title>${escapeHtml(title)}</title></circle></g>`;
  });
  const keys = families.map(
    (family) =>
      `<span><svg viewBox="0 0 12 12" aria-hidden="true"><circle style="fill: ${color(family)}" cx="6" cy="6" r="4.5"/></svg> ${escapeHtml(family)}</span>`,
  );
  return `<figure class="chart">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Likeness over cost of all policies; the figures are in the table">
${grid}
${lines.join('\n')}
${dots.join('\n')}
</svg>
<figcaption>${keys.join('\n')}</figcaption>
</figure>`;
}

/** Both axes of points, with their names. */
function plane(points: readonly (readonly [number, number])[], [across, up]: readonly [string, string]) {
  const bottom = HEIGHT - MARGIN.bottom;
  const x = axis(
    points.map(([value]) => value),
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const y = axis(
    points.map(([, value]) => value),
    [bottom, MARGIN.top],
  );
  const lines = [
    ...x.ticks.map(
      (value) => `<path d="M${x.at(value)} ${MARGIN.top}V${bottom}"/>
<text x="${x.at(value)}" y="${bottom + 18}" text-anchor="middle">${trim(value)}×</text>`,
    ),
    ...y.ticks.map(
      (value) => `<path d="M${MARGIN.left} ${y.at(value)}H${WIDTH - MARGIN.right}"/>
<text x="${MARGIN.left - 8}" y="${y.at(value)}" dy=".35em" text-anchor="end">${trim(value)}</text>`,
    ),
  ];
  const grid = `<g class="grid">${lines.join('\n')}</g>
<text class="title" x="${(MARGIN.left + WIDTH) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${across}</text>
<text class="title" transform="translate(12 ${bottom / 2}) rotate(-90)" text-anchor="middle">${up}</text>`;
  return { x, y, grid };
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
