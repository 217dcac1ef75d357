// DISCORD_PUBLIC_KEY=... npx tsx discord.ts, and its address as the application's "Interactions Endpoint URL"
//
// A bot with a command /draw, by Discord's HTTP interactions: it needs no gateway, and no package. Discord signs what it
// sends; the answer "thinking …" goes at once, and the picture replaces it when it is there. The command itself, with an
// option `prompt`, is registered once: https://discord.com/developers/docs/interactions/application-commands
import { createPublicKey, verify } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { pathToFileURL } from 'node:url';
import { DeepCacheError } from 'deepcache';
import type { ImageEngine } from 'deepcache/server';

interface Interaction {
  readonly type: number;
  readonly application_id: string;
  readonly token: string;
  readonly member?: { readonly user: { readonly id: string } };
  readonly user?: { readonly id: string };
  readonly data?: {
    readonly name: string;
    readonly options?: readonly { readonly name: string; readonly value: unknown }[];
  };
}

const PING = 1;
const COMMAND = 2;
const THINKING = 5;
/** Of a request; commands are small. */
const MOST_BYTES = 64 * 1024;
/** What stands before the 32 bytes of an Ed25519 key in DER (RFC 8410). */
const ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

/** @param api where answers go; another place in tests. */
export function makeBot(engine: ImageEngine, publicKey: string, api = 'https://discord.com/api/v10'): Server {
  const key = createPublicKey({
    key: Buffer.concat([ED25519, Buffer.from(publicKey, 'hex')]),
    format: 'der',
    type: 'spki',
  });
  return createServer(async (request, response) => {
    const body = await read(request).catch(() => undefined);
    const { 'x-signature-ed25519': signature = '', 'x-signature-timestamp': time = '' } = request.headers;
    const signed = Buffer.concat([Buffer.from(String(time)), body ?? Buffer.alloc(0)]);
    if (!body || !verify(null, signed, key, Buffer.from(String(signature), 'hex'))) {
      response.writeHead(401).end();
      return;
    }
    const interaction = JSON.parse(body.toString()) as Interaction;
    const answer = (value: object) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (interaction.type === PING) return answer({ type: PING });
    if (interaction.type !== COMMAND) return void response.writeHead(400).end();
    answer({ type: THINKING });
    await draw(engine, interaction, api).catch((error) => console.error(error));
  });
}

async function draw(engine: ImageEngine, interaction: Interaction, api: string): Promise<void> {
  const { data, member, user, application_id, token } = interaction;
  const prompt = String(data?.options?.find(({ name }) => name === 'prompt')?.value ?? '');
  const form = new FormData();
  try {
    const options = { prompt, cache: 'balanced' };
    // Users get equal shares of the machine.
    const client = (member?.user ?? user)?.id ?? 'nobody';
    const job = await engine.submit({ model: 'model', task: 'text-to-image', options, client });
    const { images, seeds } = await job.result;
    const file = (await images[0]?.toBuffer('png')) ?? Buffer.alloc(0);
    // Nobody is mentioned by what a prompt says.
    const message = { content: `seed ${seeds[0]}`, allowed_mentions: { parse: [] } };
    form.append('payload_json', JSON.stringify(message));
    form.append('files[0]', new Blob([new Uint8Array(file)], { type: 'image/png' }), 'picture.png');
  } catch (error) {
    const isTheirs = error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_INVALID_ARGUMENT';
    const content = isTheirs ? error.message : 'That did not work; try again later.';
    form.append('payload_json', JSON.stringify({ content, allowed_mentions: { parse: [] } }));
  }
  const place = `${api}/webhooks/${encodeURIComponent(application_id)}/${encodeURIComponent(token)}/messages/@original`;
  const sent = await fetch(place, { method: 'PATCH', body: form });
  if (!sent.ok) throw new Error(`Discord answered ${sent.status}`);
}

async function read(request: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MOST_BYTES) throw new Error('the request is too large');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { ImageEngine } = await import('deepcache/server');
  const engine = new ImageEngine({ models: { model: 'demo' } });
  makeBot(engine, process.env.DISCORD_PUBLIC_KEY ?? '').listen(3000);
}
