import type { Image } from '../images/image.js';

/** Pages forbid themselves all network: what they need is inside. */
const PAGE_POLICY =
  "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}

/** An image as the address of itself. */
export async function dataUri(image: Image): Promise<string> {
  const png = await image.toBuffer('png', { metadata: false });
  return `data:image/png;base64,${png.toString('base64')}`;
}

/** A page's beginning, up to its body. `title` is escaped here; `style` is ours. */
export function pageHead(title: string, style: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>`;
}
