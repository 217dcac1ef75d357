import { familyNames } from './families.js';
import type { Option } from './option.js';
import { entries, optionsOf } from './spec/index.js';

type Entry = readonly [string, Option];

/** The options of text to image as a short table in Markdown: name, default, what it is. */
export function shortTable(): string {
  const own = optionsOf('text2img').filter(([, { aliasOf }]) => aliasOf === undefined);
  return table(
    ['option', 'default', ''],
    own.map((entry) => [nameOf(entry), code(entry[1].fallback), entry[1].help]),
  );
}

/** All options of `generate`: name, values, default, who takes it, the command line's spelling, what it is. */
export function longTable(): string {
  const generating = entries.filter(([, { families }]) => families.some((family) => family !== 'load'));
  return table(
    ['option', 'values', 'default', 'of', 'command line', ''],
    generating
      .filter(([, { aliasOf }]) => aliasOf === undefined)
      .map((entry) => {
        const [, { kind, fallback, families, flag, help }] = entry;
        const of = familyNames(families).join(', ');
        return [
          nameOf(entry),
          kind.type,
          code(fallback),
          of,
          flag ? `\`${flag.spelling}\`` : '',
          ruled(entry, help),
        ];
      }),
  );
}

/** The options of loading. */
export function loadTable(): string {
  return table(
    ['option', 'values', 'default', 'command line', ''],
    optionsOf('load').map((entry) => {
      const [, { kind, fallback, flag, help }] = entry;
      return [nameOf(entry), kind.type, code(fallback), flag ? `\`${flag.spelling}\`` : '', help];
    }),
  );
}

function nameOf([name]: Entry): string {
  const others = entries.filter(([, { aliasOf }]) => aliasOf === name).map(([other]) => `\`${other}\``);
  return `\`${name}\`${others.length > 0 ? ` (${others.join(', ')})` : ''}`;
}

/** What it is, and what it does not go with. */
function ruled([, { families, excludes, needs, required = {} }]: Entry, help: string): string {
  const free = families.filter((family) => required[family] === undefined);
  const but = free.length > 0 ? `, but for ${familyNames(free).join(', ')}` : '';
  const rules = [
    ...(free.length < families.length ? [`required${but}`] : []),
    ...(excludes ?? []).map((name) => `not with \`${name}\``),
    ...(needs ? [`only with \`${needs.name}\``] : []),
  ];
  return rules.length > 0 ? `${help} (${rules.join(', ')})` : help;
}

/** Values are code, words are not. */
function code(fallback: string | undefined): string {
  if (fallback === undefined) return '';
  return /^(\d[\d.]*|true|false|'.*'|\[.*\])$/.test(fallback) ? `\`${fallback}\`` : fallback;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}
