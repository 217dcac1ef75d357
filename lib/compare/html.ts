import type { Image } from '../images/image.js';

/** Pages forbid themselves all network: what they need is inside. */
export const PAGE_POLICY =
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
