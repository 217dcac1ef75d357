import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { DeepCacheError, messageOf } from '../errors.js';
import { packageFile } from '../package-root.js';
import type { ImageEngine } from '../server/engine/index.js';
import { type Content, callTool } from './calls.js';
import { SessionPictures } from './pictures.js';
import { TOOLS } from './tools.js';

/** The package of the protocol: who does not use it need not have it. */
async function loadSdk() {
  try {
    const [{ Server }, { StdioServerTransport }, types] = await Promise.all([
      import('@modelcontextprotocol/sdk/server/index.js'),
      import('@modelcontextprotocol/sdk/server/stdio.js'),
      import('@modelcontextprotocol/sdk/types.js'),
    ]);
    return { Server, StdioServerTransport, ...types };
  } catch (cause) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      'the package @modelcontextprotocol/sdk is needed: npm install @modelcontextprotocol/sdk, or ' +
        'npx -p deepcache -p @modelcontextprotocol/sdk deepcache mcp',
      { cause },
    );
  }
}

/** A server of the Model Context Protocol in front of an engine: tools that make, change and compare pictures. */
export async function mcpServer(engine: ImageEngine): Promise<Server> {
  const { Server, CallToolRequestSchema, ListToolsRequestSchema } = await loadSdk();
  const { version } = packageFile();
  const server = new Server({ name: 'deepcache', version }, { capabilities: { tools: {} } });
  const pictures = new SessionPictures();
  server.setRequestHandler(ListToolsRequestSchema, async () => ({
    tools: TOOLS.map((tool) => ({ ...tool, inputSchema: { ...tool.inputSchema, type: 'object' as const } })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, sendNotification }) => {
    const token = params._meta?.progressToken;
    const onProgress = (progress: number, total: number) => {
      if (token === undefined) return;
      const notification = {
        method: 'notifications/progress' as const,
        params: { progressToken: token, progress, total },
      };
      sendNotification(notification).catch(() => {});
    };
    try {
      const content = await callTool(params.name, params.arguments ?? {}, {
        engine,
        pictures,
        signal,
        onProgress,
      });
      return { content };
    } catch (error) {
      // An error that the language model reads, and can mend.
      const content: Content[] = [{ type: 'text', text: messageOf(error) }];
      return { content, isError: true };
    }
  });
  return server;
}

/** Speaks on standard input and output until the signal aborts, or the client closes them. */
export async function serveStdio(engine: ImageEngine, signal: AbortSignal): Promise<void> {
  const server = await mcpServer(engine);
  const { StdioServerTransport } = await loadSdk();
  const closed = new Promise<void>((resolve) => {
    server.onclose = resolve;
    process.stdin.once('end', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.connect(new StdioServerTransport());
  await closed;
  await server.close();
}
