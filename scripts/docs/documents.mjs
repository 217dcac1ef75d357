// What the documents show: code blocks of a language, and commands.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Documents of the repository, in the order in which people read them. */
export function documents(root) {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const all = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.sort().map((name) => `docs/${name}`)];
  all.push('models/demo/README.md', 'weights-tools/demo-model/README.md');
  return all.filter((name) => existsSync(join(root, name)));
}

/** The fenced blocks of a language: {document, line, text}, `line` being that of the first line of code. */
export function codeBlocks(root, document, language) {
  const blocks = [];
  let open;
  for (const [i, line] of readFileSync(join(root, document), 'utf8').split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (fence && open) {
      if (open.language === language) blocks.push({ document, line: open.line, text: open.lines.join('\n') });
      open = undefined;
    } else if (fence) open = { language: fence[1], line: i + 2, lines: [] };
    else open?.lines.push(line);
  }
  return blocks;
}

/** Commands of the shell blocks, and those in the text: {document, line, text}. */
export function commands(root, document) {
  const found = [];
  for (const { line, text } of codeBlocks(root, document, 'sh')) {
    let start = line;
    for (const joined of text.replaceAll('\\\n', '\u0001').split('\n')) {
      const command = joined
        .replaceAll('\u0001', ' ')
        .replace(/\s+#\s.*$/, '')
        .trim();
      if (command && !command.startsWith('#')) found.push({ document, line: start, text: command });
      start += joined.split('\u0001').length;
    }
  }
  for (const [i, line] of readFileSync(join(root, document), 'utf8').split('\n').entries()) {
    for (const [, text] of line.matchAll(/`((?:(?:npx|npm|node) |scripts\/|bench\/\S+\.sh)[^`]*)`/g)) {
      found.push({ document, line: i + 1, text });
    }
  }
  return found;
}
