// Links of README.md and docs/: relative ones in the checkout; in the package those to files that are not packed lead
// to the repository.
import { join, posix } from 'node:path';

const LINK = /(!?\[[^\]]*\]\()([^)\s]+)(\))/g;

/** {text, target}s of a Markdown file's links to files, relative to the root: without anchors, no addresses. */
export function fileLinks(markdown, file) {
  const text = withoutCode(markdown);
  return [...text.matchAll(LINK)]
    .map(([, , link]) => link)
    .filter(isFile)
    .map((link) => resolve(link, file));
}

/** The file's text as it is packed. */
export function packedLinks(markdown, file, packed, { homepage, version }) {
  const repository = homepage.replace(/#.*/, '');
  return markdown.replace(LINK, (whole, before, link, after) => {
    if (!isFile(link)) return whole;
    const target = resolve(link, file);
    if (packed.has(target) || [...packed].some((name) => name.startsWith(`${target}/`))) return whole;
    const [, anchor = ''] = /(#.*)$/.exec(link) ?? [];
    return `${before}${repository}/blob/v${version}/${target}${anchor}${after}`;
  });
}

function isFile(link) {
  return !/^([a-z]+:|#)/.test(link);
}

function resolve(link, file) {
  return posix.normalize(join(posix.dirname(file), link.replace(/#.*/, ''))).replace(/\/$/, '');
}

function withoutCode(markdown) {
  return markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}
