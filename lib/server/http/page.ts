import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { packageRoot } from '../../package-root.js';

const SCRIPTS = [
  ...['serve.js', 'serve-api.js', 'serve-compare.js', 'serve-dom.js', 'serve-gallery.js', 'serve-mask.js'],
  ...['serve-networks.js', 'serve-speed.js'],
];

/** The page's files: no other of the folder is served, whatever a request says. */
const FILES = {
  '/': { file: 'serve.html', type: 'text/html; charset=utf-8' },
  '/page/serve.css': { file: 'serve.css', type: 'text/css; charset=utf-8' },
  '/page/serve-parts.css': { file: 'serve-parts.css', type: 'text/css; charset=utf-8' },
  ...Object.fromEntries(
    SCRIPTS.map((file) => [`/page/${file}`, { file, type: 'text/javascript; charset=utf-8' }]),
  ),
};

/** Only its own scripts and pictures, in no frame of others. */
const POLICY = [
  ...[
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
  ],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
].join('; ');

/** A page on which people make pictures. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const folder = join(packageRoot(), 'lib/pages');
  for (const [path, { file, type }] of Object.entries(FILES)) {
    const bytes = await readFile(join(folder, file));
    app.get(path, { config: { isOpen: true } }, async (_, reply) => {
      reply.headers({
        'content-type': type,
        'content-security-policy': POLICY,
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      });
      return bytes;
    });
  }
}
