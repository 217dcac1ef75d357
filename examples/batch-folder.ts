// npx tsx batch-folder.ts IN OUT "as a watercolor"
//
// Every picture of a folder, changed by a prompt. Jobs share the passes of the model; what is there already is not made again.
import { access, mkdir, readdir } from 'node:fs/promises';
import { extname, join, parse } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ImageEngine } from 'deepcache/server';

const PICTURES = ['.png', '.jpg', '.jpeg', '.webp'];
/** Jobs in the engine at once: enough for full passes, and no more pictures in memory than that. */
const AT_ONCE = 16;

/** @returns how many were made. */
export async function changeAll(from: string, to: string, prompt: string, steps = 20): Promise<number> {
  const engine = new ImageEngine({ models: { model: 'demo' } });
  await mkdir(to, { recursive: true });
  const names = (await readdir(from)).filter((name) => PICTURES.includes(extname(name).toLowerCase())).sort();
  let made = 0;
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const file = join(to, `${parse(name).name}.png`);
      if (await exists(file)) continue;
      const options = { image: join(from, name), prompt, strength: 0.6, steps, seed: 1, cache: 'balanced' };
      const job = await engine.submit({ model: 'model', task: 'image-to-image', options });
      const { images } = await job.result;
      await images[0]?.save(file);
      made++;
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await engine.close();
  }
  return made;
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [from = 'in', to = 'out', prompt = 'a watercolor'] = process.argv.slice(2);
  console.log(`${await changeAll(from, to, prompt)} pictures made`);
}
