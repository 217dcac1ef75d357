import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '../images/image.js';
import { packageRoot } from '../package-root.js';
import { printable } from '../printable.js';

/** Pages forbid themselves all network: what they need is inside. */
const PAGE_POLICY =
  "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Text for elements and quoted attributes. Controls and direction marks become visible, as on a terminal. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return printable(text).replace(/[&<>"']/g, (character) => entities[character] as string);
}

/** An image as the address of itself. */
export async function dataUri(image: Image): Promise<string> {
  const png = await image.toBuffer('png', { metadata: false });
  return `data:image/png;base64,${png.toString('base64')}`;
}

type PageName = 'compare' | 'quality';

/** A page's beginning, up to its body. `title` is escaped here; later styles come on top of earlier ones. */
export async function pageHead(title: string, styles: readonly PageName[]): Promise<string> {
  const texts = await Promise.all(styles.map((name) => pageFile(`${name}.css`)));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
<title>${escapeHtml(title)}</title>
<style>
${texts.join('')}</style>
</head>`;
}

/** The script of a page, which is checked as a module is. */
export async function pageScript(name: PageName): Promise<string> {
  return `<script>
'use strict';
${await pageFile(`${name}.js`)}</script>`;
}

/** Only TypeScript is compiled into dist: these files stay in lib. */
async function pageFile(name: string): Promise<string> {
  return readFile(join(packageRoot(), 'lib/pages', name), 'utf8');
}
