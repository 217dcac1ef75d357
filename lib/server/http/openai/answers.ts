import type { SentEvent } from '../event-stream.js';
import type { JobRecord, Made } from '../jobs/desk.js';
import { addressOf } from '../jobs/status.js';
import { toBase64 } from '../pictures.js';
import { previewImage } from '../previews.js';
import type { Delivery } from './request.js';

// The shapes of answers: ImagesResponse and the events of a stream, as the client `openai` declares them.

/** Nothing is metered here. */
const USAGE = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  total_tokens: 0,
};

/** Which endpoint's events they are. */
export type EventPrefix = 'image_generation' | 'image_edit';

/** What all answers say of their pictures. */
function about({ format }: Delivery, width: number, height: number) {
  return {
    background: 'opaque',
    output_format: format,
    quality: 'auto',
    size: `${width}x${height}`,
  } as const;
}

const seconds = () => Math.floor(Date.now() / 1000);

/** The answer in one piece; the signal ends the work for it. */
export async function answerOf(
  record: JobRecord,
  { pictures }: Made,
  delivery: Delivery,
  base: string,
  stop: AbortSignal,
): Promise<object> {
  const { asUrl, format } = delivery;
  const data: object[] = [];
  for (const [i, picture] of pictures.entries()) {
    const url = addressOf(record, i, base, format);
    const text = async () => (await picture.file(format, encoding(delivery))).toString('base64');
    data.push(asUrl ? { url } : { b64_json: await text() });
    stop.throwIfAborted();
  }
  const [{ width, height } = { width: 0, height: 0 }] = pictures;
  return { created: seconds(), data, ...about(delivery, width, height), usage: USAGE };
}

/** The answer as a stream: pictures on the way, then those that were made. */
export async function* eventsOf(
  record: JobRecord,
  prefix: EventPrefix,
  delivery: Delivery,
  failure: (error: unknown) => object,
): AsyncGenerator<SentEvent, void, void> {
  let index = 0;
  for await (const event of record.events()) {
    if (event.type !== 'step' || !event.preview || index >= delivery.partials) continue;
    // What is complete is no picture on the way.
    if (event.call === event.calls) continue;
    const image = await previewImage(event.preview);
    if (!image) continue;
    const type = `${prefix}.partial_image`;
    const { format } = delivery;
    const b64 = await toBase64(image, format, { ...encoding(delivery), metadata: false });
    const data = { type, b64_json: b64, partial_image_index: index++, created_at: seconds() };
    yield { event: type, data: { ...data, ...about(delivery, image.width, image.height) } };
  }
  await record.over;
  if (!record.result) {
    yield { event: 'error', data: { type: 'error', ...failure(record.error) } };
    return;
  }
  const type = `${prefix}.completed`;
  for (const picture of record.result.pictures) {
    const b64 = (await picture.file(delivery.format, encoding(delivery))).toString('base64');
    const data = { type, b64_json: b64, created_at: seconds(), usage: USAGE };
    yield { event: type, data: { ...data, ...about(delivery, picture.width, picture.height) } };
  }
}

const encoding = ({ quality }: Delivery) => (quality === undefined ? {} : { quality });
