import { DeepCacheError, invalidArgument, messageOf } from '../../../errors.js';
import { Refused } from '../retrying.js';
import { isName, type ResultStore } from './result-store.js';
import type { S3Place } from './s3-place.js';

/** Milliseconds in which a connection is there, and in which an answer comes. */
const CONNECT = 5000;
const ANSWER = 60_000;

/** What is used of the package @aws-sdk/client-s3, whose own types are of megabytes. */
interface Sdk {
  readonly S3Client: new (options: object) => Client;
  readonly PutObjectCommand: new (input: object) => Command<object>;
  readonly GetObjectCommand: new (
    input: object,
  ) => Command<{ Body?: { transformToByteArray(): Promise<Uint8Array> } }>;
  readonly DeleteObjectCommand: new (input: object) => Command<object>;
  readonly ListObjectsV2Command: new (input: object) => Command<Listed>;
}
interface Client {
  send<Output>(command: Command<Output>): Promise<Output>;
  destroy(): void;
}
interface Command<Output> {
  /** Of types alone. */
  readonly output?: Output;
}
interface Listed {
  readonly Contents?: readonly { readonly Key?: string; readonly LastModified?: Date }[];
  readonly NextContinuationToken?: string;
}

/** Pictures in a bucket of S3, or of what speaks its protocol. Keys come from where AWS's own programs look for them. */
export class S3Results implements ResultStore {
  readonly isLimited = false;

  private constructor(
    private readonly sdk: Sdk,
    private readonly client: Client,
    private readonly place: S3Place,
  ) {}

  /**
   * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED without the package, ERR_DEEPCACHE_INVALID_ARGUMENT for a bucket that cannot
   * be used, ERR_DEEPCACHE_BACKEND_UNAVAILABLE where nobody answers.
   */
  static async open(place: S3Place): Promise<S3Results> {
    const sdk = await loadSdk();
    const { endpoint, region, shown } = place;
    // Who runs a server of their own has no names of machines for its buckets.
    const isOwn = (endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL) !== undefined;
    const regionOr = region ?? (isOwn && !process.env.AWS_REGION ? 'us-east-1' : undefined);
    const client = new sdk.S3Client({
      ...(endpoint !== undefined && { endpoint }),
      ...(regionOr !== undefined && { region: regionOr }),
      forcePathStyle: isOwn,
      requestHandler: { connectionTimeout: CONNECT, requestTimeout: ANSWER },
      // Checksums that only newer servers know.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    const results = new S3Results(sdk, client, place);
    try {
      await results.#list(undefined);
    } catch (error) {
      client.destroy();
      if (isRefusal(error) || !isOfNetwork(error))
        throw invalidArgument('results', `cannot be used: ${shown}: ${wordsOf(error)}`, { cause: error });
      throw new DeepCacheError(
        'ERR_DEEPCACHE_BACKEND_UNAVAILABLE',
        `${shown} does not answer: ${wordsOf(error)}`,
        { cause: error },
      );
    }
    return results;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const object = { ...this.#object(name), Body: bytes, ContentType: 'image/png' };
    try {
      await this.client.send(new this.sdk.PutObjectCommand(object));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      throw new Refused(`the pictures cannot be stored in ${this.place.shown}: ${wordsOf(error)}`, {
        cause: error,
      });
    }
  }

  async get(name: string): Promise<Buffer | undefined> {
    if (!isName(name)) return undefined;
    try {
      const { Body } = await this.client.send(new this.sdk.GetObjectCommand(this.#object(name)));
      return Body && Buffer.from(await Body.transformToByteArray());
    } catch (error) {
      if ((error as Error | undefined)?.name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names.filter(isName))
      await this.client.send(new this.sdk.DeleteObjectCommand(this.#object(name)));
  }

  /** Objects of ours that are older than all that is kept: who should have removed them was killed. */
  async tidy(milliseconds: number): Promise<void> {
    const oldest = Date.now() - milliseconds;
    let after: string | undefined;
    do {
      const { Contents = [], NextContinuationToken } = await this.#list(after);
      for (const { Key = '', LastModified } of Contents) {
        const name = Key.slice(this.place.prefix.length).replace(/\.png$/, '');
        if (LastModified && LastModified.getTime() < oldest && this.#key(name) === Key)
          await this.remove([name]);
      }
      after = NextContinuationToken;
    } while (after !== undefined);
  }

  close(): void {
    this.client.destroy();
  }

  #list(after: string | undefined) {
    const { bucket, prefix } = this.place;
    return this.client.send(
      new this.sdk.ListObjectsV2Command({
        ...{ Bucket: bucket, Prefix: prefix },
        ...(after !== undefined && { ContinuationToken: after }),
      }),
    );
  }

  #object(name: string) {
    return { Bucket: this.place.bucket, Key: this.#key(name) };
  }

  #key(name: string): string {
    return `${this.place.prefix}${name}.png`;
  }
}

/** Who keeps pictures elsewhere need not have it. */
async function loadSdk(): Promise<Sdk> {
  try {
    return (await import('@aws-sdk/client-s3' as string)) as Sdk;
  } catch (cause) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      'the package @aws-sdk/client-s3 is needed for results in S3: npm install @aws-sdk/client-s3',
      { cause },
    );
  }
}

/** Whether the server said no, and would say it again. */
function isRefusal(error: unknown): boolean {
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata
    ?.httpStatusCode;
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Whether nobody answered, or somebody who could not. */
function isOfNetwork(error: unknown): boolean {
  const {
    code,
    name = '',
    $metadata,
  } = (error ?? {}) as { code?: string; name?: string; $metadata?: object };
  return /^E[A-Z_]+$/.test(code ?? '') || /timeout|network/i.test(name) || $metadata !== undefined;
}

/** Its name tells more than its message, which may be missing. */
function wordsOf(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: string; code?: string };
  const message = messageOf(error);
  const kind = name === undefined || name === 'Error' ? code : name;
  if (kind === undefined || message.includes(kind)) return message;
  // What the package says where the server said no more than the name.
  return message === '' || message === 'UnknownError' ? kind : `${kind}: ${message}`;
}
