// A route handler of Next.js's App Router: POST /api/picture with {"prompt": "a red barn"} answers with a PNG.
//
// In next.config.ts: serverExternalPackages: ['deepcache'], so that its binary stays where it is.
import { DeepCacheError } from 'deepcache';
import { ImageEngine } from 'deepcache/server';

// It needs the machine: no edge runtime.
export const runtime = 'nodejs';
export const maxDuration = 300;

/** One for the process, also where development reloads this module. */
const kept = globalThis as { engine?: ImageEngine };
function engine(): ImageEngine {
  kept.engine ??= new ImageEngine({ models: { model: process.env.MODEL ?? 'demo' } });
  return kept.engine;
}

export async function POST(request: Request): Promise<Response> {
  const { prompt, steps } = (await request.json()) as { prompt?: unknown; steps?: unknown };
  if (typeof prompt !== 'string') return Response.json({ error: 'prompt is missing' }, { status: 400 });
  try {
    const options = {
      prompt,
      cache: 'balanced',
      ...(typeof steps === 'number' && { steps: Math.min(steps, 50) }),
    };
    const job = await engine().submit({ model: 'model', task: 'text-to-image', options });
    request.signal.addEventListener('abort', () => job.cancel(), { once: true });
    const { images } = await job.result;
    const file = (await images[0]?.toBuffer('png')) ?? Buffer.alloc(0);
    return new Response(new Uint8Array(file), { headers: { 'content-type': 'image/png' } });
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    const status =
      { ERR_DEEPCACHE_INVALID_ARGUMENT: 400, ERR_DEEPCACHE_BUSY: 429 }[error.code as string] ?? 503;
    return Response.json({ error: status === 400 ? error.message : 'not now' }, { status });
  }
}
