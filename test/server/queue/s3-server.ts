import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// A server of S3's protocol that others have written, and AWS's own client for it.

interface Running {
  run(): Promise<{ port: number }>;
  close(): Promise<void>;
}

export class S3Server {
  /** Those that it knows. */
  readonly accessKeyId = 'S3RVER';
  readonly secretAccessKey = 'S3RVER';
  readonly #folder = mkdtempSync(join(tmpdir(), 'deepcache-s3-'));
  #port = 0;
  #server: Running | undefined;

  private constructor(private readonly bucket: string) {}

  /** With one bucket. */
  static async start(bucket: string): Promise<S3Server> {
    const server = new S3Server(bucket);
    await server.restart();
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /**
   * Starts it at the same place, with what it has.
   *
   * @param isStrict whether signatures must be right: then it takes none for lists, whose addresses it signs in another way than AWS.
   */
  async restart(isStrict = false): Promise<void> {
    await this.close();
    const { default: S3rver } = await import('@20minutes/s3rver' as string);
    const server = new S3rver({
      ...{ port: this.#port, address: '127.0.0.1', silent: true, directory: this.#folder },
      ...{ configureBuckets: [{ name: this.bucket }], allowMismatchedSignatures: !isStrict },
    }) as Running;
    this.#port = (await server.run()).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    await this.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What is done at it besides. */
  async admin(): Promise<Admin> {
    const sdk = await import('@aws-sdk/client-s3' as string);
    const { endpoint, accessKeyId, secretAccessKey, bucket: Bucket } = this;
    const client = new sdk.S3Client({
      ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
      credentials: { accessKeyId, secretAccessKey },
    });
    return {
      put: (Key, Body) => client.send(new sdk.PutObjectCommand({ Bucket, Key, Body })),
      get: async (Key) => {
        const { Body, ContentType } = await client.send(new sdk.GetObjectCommand({ Bucket, Key }));
        return { bytes: Buffer.from(await Body.transformToByteArray()), type: ContentType };
      },
      keys: async (Prefix) => {
        const { Contents = [] } = await client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix }));
        return (Contents as { Key: string }[]).map(({ Key }) => Key).sort();
      },
      removeBucket: () => client.send(new sdk.DeleteBucketCommand({ Bucket })),
      close: () => client.destroy(),
    };
  }
}

export interface Admin {
  put(key: string, body: string): Promise<unknown>;
  get(key: string): Promise<{ bytes: Buffer; type: string }>;
  /** In order. */
  keys(prefix: string): Promise<string[]>;
  removeBucket(): Promise<unknown>;
  close(): void;
}
