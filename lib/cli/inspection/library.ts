import { TITLES } from '../../library/layouts.js';
import { listLibrary, modelsFolder } from '../../library/library.js';
import { resolveExtra, resolveModel } from '../../library/resolve.js';
import { formatBytes, formatTable } from '../format.js';

/** What is in a folder of models that image programs share. */
export async function inspectLibrary(folder: string, signal: AbortSignal) {
  const entries = await listLibrary(folder, undefined, signal);
  const rows = entries.map(({ kind, name, bytes }) => [
    name,
    TITLES[kind],
    bytes === undefined ? 'folder' : formatBytes(bytes),
  ]);
  const text = rows.length > 0 ? formatTable(rows) : `${folder} holds nothing that is known\n`;
  return { json: { folder, entries }, text, problems: 0 };
}

/** The path of what a name means: of anything in the folder of models, or of a model of the Hub that was downloaded. */
export async function placeOf(
  name: string,
  { modelsDir, signal }: { modelsDir?: string | undefined; signal: AbortSignal },
): Promise<string> {
  if (modelsFolder(modelsDir) !== undefined) {
    for (const kind of ['lora', 'embedding', 'vae'] as const) {
      const path = await resolveExtra(kind, name, { modelsDir, signal, option: 'what' }).catch(() => name);
      if (path !== name) return path;
    }
  }
  return (await resolveModel(name, { modelsDir, signal, offline: true })).path;
}
