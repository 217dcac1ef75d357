import { oneLine } from '../../printable.js';
import type { WeightsFile } from '../../weights/stored-tensor.js';
import { formatBytes, formatCount, formatTable } from '../format.js';
import type { ComponentReport } from './component.js';
import type { FileKind } from './kind.js';
import type { ModelReport } from './model.js';
import type { BranchNeed, MemoryNeed } from './needs.js';
import { type Branch, treeText } from './tree.js';

// Reports as text for people; as JSON they are what they are.

export function modelText(report: ModelReport): string {
  const { folder, className, scheduler, defaults, notes, components, memory, branches, problems } = report;
  const all = [...problems, ...components.flatMap((c) => c.problems.map((text) => `${c.name}: ${text}`))];
  return [
    `${oneLine(folder)}\npipeline   ${oneLine(className)}\nscheduler  ${oneLine(scheduler ?? 'none')}\n${defaultsText(defaults)}${notes.map((text) => `note       ${oneLine(text)}\n`).join('')}`,
    componentTable(components),
    memory && memoryText(memory),
    branches && branchTable(branches),
    problemText(all),
  ]
    .filter(Boolean)
    .join('\n');
}

export function componentText(report: ComponentReport): string {
  return `${componentTable([report])}\n${problemText(report.problems)}`;
}

export function fileText(file: WeightsFile, kind: FileKind, tree: readonly Branch[]): string {
  const values = file.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const bytes = file.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const rows = file.tensors.map(({ name, dtype, shape, bytes }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(bytes),
  ]);
  const metadata = Object.entries(file.metadata).map(([key, value]) => `${oneLine(`${key}: ${value}`)}\n`);
  return [
    `${oneLine(file.path)} (${file.format})\n${kindText(kind)}`,
    `${file.tensors.length} tensors, ${formatCount(values)} values, ${formatBytes(bytes)}\n`,
    ...metadata,
    // Of a few, the list below says all.
    tree.length < file.tensors.length / 4 ? `${treeText(tree)}\n` : '',
    formatTable([['tensor', 'type', 'shape', 'size'], ...rows]),
  ].join('');
}

function kindText({ title, family, facts = {}, use, kind }: FileKind): string {
  const rows = [
    ['for', family],
    ...Object.entries(facts).map(([name, value]) => [name, String(value)]),
    ['loaded by', use ?? (kind === 'unknown' ? undefined : 'nothing here')],
  ].flatMap(([name, value]) => (value === undefined ? [] : [[oneLine(name as string), oneLine(value)]]));
  return `${oneLine(title)}\n${formatTable(rows)}`;
}

function componentTable(components: readonly ComponentReport[]): string {
  const rows = components.map(({ name, className, parameters, dtypes, files }) => [
    name,
    className,
    parameters === undefined ? '' : formatCount(parameters),
    Object.keys(dtypes).join(' '),
    formatBytes(files.reduce((sum, { bytes }) => sum + bytes, 0)),
    files.map((file) => file.name).join(' '),
  ]);
  return formatTable([['component', 'class', 'parameters', 'types', 'size', 'files'], ...rows]);
}

function memoryText({
  width,
  height,
  weights,
  weightsBf16,
  unet,
  decoder,
  total,
  large,
}: MemoryNeed): string {
  const own = `${width}x${height}`;
  return (
    `memory for one image of ${own} with guidance, on the CPU: ${formatBytes(total)} ` +
    `(weights ${formatBytes(weights)}, with dtype bf16 ${formatBytes(weightsBf16)}, U-Net ${formatBytes(unet)}, decoder ${formatBytes(decoder)})\n` +
    (large
      ? `decoding ${large.width}x${large.height} takes ${formatBytes(large.decoder)}, ` +
        `in tiles of ${own} (vaeTiling) ${formatBytes(large.tiledDecoder)}\n`
      : '')
  );
}

function branchTable(branches: readonly BranchNeed[]): string {
  const rows = branches.map(({ branch, share, featureShape, featureBytes, feature }) => [
    String(branch),
    `${(share * 100).toFixed(1)} %`,
    featureShape.join('x'),
    formatBytes(featureBytes),
    feature,
  ]);
  return formatTable([['branch', 'of a full step', 'feature', 'size', 'kept after'], ...rows]);
}

export function problemText(problems: readonly string[]): string {
  if (problems.length === 0) return 'no problems found\n';
  const title = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return `${title}:\n${problems.map((text) => `  - ${oneLine(text)}\n`).join('')}`;
}

function defaultsText(defaults: ModelReport['defaults'] = {}): string {
  const fields = Object.entries(defaults).map(([name, value]) => `${name} ${value}`);
  return fields.length > 0 ? `defaults   ${fields.join(', ')}\n` : '';
}
