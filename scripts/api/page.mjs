// A page of the API reference for an entry of the package.
import { ApiItemKind } from '@microsoft/api-extractor-model';
import { isShown, markdown } from './comments.mjs';

const GROUPS = [
  ['Classes', ApiItemKind.Class],
  ['Functions', ApiItemKind.Function],
  ['Values', ApiItemKind.Variable],
  ['Interfaces', ApiItemKind.Interface],
  ['Types', ApiItemKind.TypeAlias],
];

/** Pages by the names of the entries: Map<name, text>. */
export function pages(entries) {
  const addresses = new Map(
    // A name of the page itself wins over the same one of another.
    entries.flatMap(({ name, model }) =>
      model.members.map((item) => [`${name} ${item.displayName}`, { page: `${name}.md`, item }]),
    ),
  );
  const linksOf = (page) => (name) => {
    const [top, ...rest] = name.split('.');
    const found = [page, ...entries.map((entry) => entry.name)]
      .map((entry) => addresses.get(`${entry} ${top}`))
      .find(Boolean);
    if (!found) return undefined;
    const target = found.page === `${page}.md` ? '' : found.page;
    return `${target}#${anchor(rest.length > 0 && isSection(found.item) ? name : top)}`;
  };
  return new Map(entries.map((entry) => [entry.name, pageOf(entry, linksOf(entry.name))]));
}

function pageOf({ title, model }, linkTo) {
  const groups = GROUPS.map(([heading, kind]) => ({
    heading,
    items: model.members.filter((item) => item.kind === kind).sort(byName),
  })).filter(({ items }) => items.length > 0);
  const contents = groups.map(
    ({ heading, items }) =>
      `- ${heading}: ${items.map(({ displayName }) => `[${displayName}](#${anchor(displayName)})`).join(', ')}`,
  );
  const sections = groups.flatMap(({ heading, items }) => [
    `## ${heading}`,
    ...items.flatMap((item) => sectionOf(item, linkTo)),
  ]);
  const intro = `Made from the doc comments by \`npm run docs:api\`. \`import { … } from '${title}'\`:`;
  return `${[`# ${title}`, intro, contents.join('\n'), ...sections].map((text) => text.trim()).join('\n\n')}\n`;
}

function sectionOf(item, linkTo) {
  const members = item.members.filter(isShown).sort(byName);
  const own = [`### ${item.displayName}`, signature(item), ...comment(item, linkTo)];
  if (isSection(item)) {
    return [
      ...own,
      ...members.flatMap((member) => [
        `#### ${item.displayName}.${member.displayName}`,
        signature(member),
        ...comment(member, linkTo),
      ]),
    ];
  }
  return members.length > 0 ? [...own, table(members, linkTo)] : own;
}

/** Whether members have sections of their own, and not rows of a table. */
const isSection = ({ kind }) => kind === ApiItemKind.Class;

const byName = (a, b) => (a.displayName < b.displayName ? -1 : Number(a.displayName > b.displayName));

const anchor = (name) => name.toLowerCase().replace(/[^\w-]/g, '');

function signature(item) {
  const text = item.excerpt.text.replace(/^export (declare )?/, '').trim();
  return `\`\`\`ts\n${text}\n\`\`\``;
}

function table(members, linkTo) {
  const rows = members.map((member) => {
    const type = (member.propertyTypeExcerpt ?? member.excerpt).text.replace(/\s+/g, ' ');
    const text = comment(member, linkTo).join(' ').replace(/\s+/g, ' ').trim();
    const name = `\`${member.displayName}${member.isOptional ? '?' : ''}\``;
    return `| ${name} | \`${type.replaceAll('|', '\\|')}\` | ${text.replaceAll('|', '\\|')} |`;
  });
  return ['| | | |', '|---|---|---|', ...rows].join('\n');
}

/** What a doc comment says, parameters and errors included. */
function comment({ tsdocComment: doc }, linkTo) {
  if (!doc) return [];
  const text = (node) => markdown(node, linkTo).trim();
  const parameters = [...doc.typeParams.blocks, ...doc.params.blocks].map(
    (block) => `- \`${block.parameterName}\`: ${text(block.content)}`,
  );
  const errors = doc.customBlocks
    .filter(({ blockTag }) => blockTag.tagName === '@throws')
    .map((block) => `Throws ${text(block.content)}`);
  const returns = doc.returnsBlock ? [`Returns ${text(doc.returnsBlock.content)}`] : [];
  const remarks = doc.remarksBlock ? [text(doc.remarksBlock.content)] : [];
  const list = parameters.length > 0 ? [parameters.join('\n')] : [];
  return [text(doc.summarySection), ...remarks, ...list, ...returns, ...errors].filter(Boolean);
}
