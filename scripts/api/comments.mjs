// Doc comments of the API: as Markdown, and those that are missing.
import { DocNodeKind } from '@microsoft/tsdoc';

/** Members that subclasses alone see are no part of the pages. */
export const isShown = ({ isProtected, displayName }) =>
  !isProtected && !/^(toJSON|\[Symbol\.|\()/.test(displayName);

/** @param linkTo the address of a name, or undefined. */
export function markdown(node, linkTo) {
  if (!node) return '';
  const inner = () =>
    node
      .getChildNodes()
      .map((child) => markdown(child, linkTo))
      .join('');
  switch (node.kind) {
    case DocNodeKind.PlainText:
      return node.text;
    case DocNodeKind.EscapedText:
      return node.decodedText;
    case DocNodeKind.ErrorText:
      return node.text;
    case DocNodeKind.SoftBreak:
      return '\n';
    case DocNodeKind.CodeSpan:
      return `\`${node.code}\``;
    case DocNodeKind.FencedCode:
      return `\n\`\`\`${node.language}\n${node.code}\`\`\`\n`;
    case DocNodeKind.LinkTag:
      return link(node, linkTo);
    case DocNodeKind.Paragraph:
      return `${inner().trim()}\n\n`;
    default:
      return inner();
  }
}

function link({ urlDestination, codeDestination, linkText }, linkTo) {
  if (urlDestination) return `[${linkText ?? urlDestination}](${urlDestination})`;
  const name = codeDestination.memberReferences.map((part) => part.memberIdentifier?.identifier).join('.');
  const address = linkTo(name);
  return address ? `[\`${linkText ?? name}\`](${address})` : `\`${linkText ?? name}\``;
}

/** Names of an entry that have no doc comment; overridden members have that of the class above. */
export function undocumented(entry) {
  const items = new Map(entry.members.map((item) => [item.displayName, item]));
  return entry.members.flatMap((item) => [
    ...(item.tsdocComment ? [] : [item.displayName]),
    ...item.members
      .filter((member) => isShown(member) && !isForbidden(member) && !member.tsdocComment)
      .filter((member) => !overrides(items, item, member))
      .map((member) => `${item.displayName}.${member.displayName}`),
  ]);
}

/** Only there to say that it may not be given. */
const isForbidden = ({ propertyTypeExcerpt }) => propertyTypeExcerpt?.text === 'never';

/** A class above that is not exported counts as one that has the member. */
function overrides(items, item, { displayName }) {
  const parent = /^\w+/.exec(item.extendsType?.excerpt.text ?? '')?.[0];
  if (parent === undefined) return false;
  const above = items.get(parent);
  return (
    !above ||
    above.members.some((member) => member.displayName === displayName) ||
    overrides(items, above, { displayName })
  );
}
