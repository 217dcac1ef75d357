import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A line to a port of this machine that can be cut, without a word to either side, and be slow. */
export class Link {
  /** Milliseconds that everything takes on its way, each way. */
  delay = 0;
  #isCut = false;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(target: number): Promise<Link> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const link = new Link(server, (server.address() as { port: number }).port);
    server.on('connection', (near) => {
      const far = connect(target, '127.0.0.1');
      link.#join(near, far);
      link.#join(far, near);
    });
    return link;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** From now on nothing arrives, in either direction, and nobody is told. */
  cut(): void {
    this.#isCut = true;
  }

  /** What was sent meanwhile is lost, and connections with it, as where a machine comes back with another address. */
  mend(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (data) => {
      if (this.#isCut) return;
      const send = () => {
        if (!this.#isCut && to.writable) to.write(data);
      };
      if (this.delay > 0) setTimeout(send, this.delay);
      else send();
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
