// A registry on the loopback interface that serves the packed @deepcache packages, which no other has yet.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';

/** Serves [{name, folder, file}]; returns {url, close}. */
export async function serve(packages) {
  let url;
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, url).pathname).slice(1);
    const tarball = packages.find(({ file }) => path === basename(file));
    const described = packages.find(({ name }) => path === name);
    if (tarball) {
      response.setHeader('content-type', 'application/octet-stream').end(readFileSync(tarball.file));
    } else if (described) {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(describe(described, url)));
    } else {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${server.address().port}/`;
  return { url, close: () => server.close() };
}

function describe({ name, folder, file }, url) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { version } = manifest;
  const bytes = readFileSync(file);
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  const shasum = createHash('sha1').update(bytes).digest('hex');
  const dist = { tarball: `${url}${basename(file)}`, integrity, shasum };
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    // Long ago: some package managers wait before they take what is new.
    time: { [version]: '2020-01-01T00:00:00.000Z' },
  };
}
