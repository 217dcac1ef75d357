import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RequestError } from './errors.js';
import type { Limits } from './limits.js';

/** Fields of a form, and files in it. */
const MOST_FIELDS = 50;
const MOST_FILES = 4;

/** A form: its texts, and the bytes of its files, by their names. */
export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, readonly Uint8Array[]>>;
}

/**
 * Teaches routes to read forms (multipart/form-data). Nothing of them touches the disk.
 *
 * @param files at most in one.
 */
export async function acceptForms(app: FastifyInstance, limits: Limits, files = MOST_FILES): Promise<void> {
  await app.register(multipart, {
    limits: {
      fileSize: limits.body,
      files,
      fields: MOST_FIELDS,
      fieldSize: 4 * limits.prompt,
      fieldNameSize: 100,
      parts: MOST_FIELDS + files,
      headerPairs: 20,
    },
  });
}

/**
 * Reads a form to its end.
 *
 * @throws RequestError 400 for one that is damaged, 413 for one that is too large, 415 for a body of another kind.
 */
export async function readForm(request: FastifyRequest, { body }: Limits): Promise<Form> {
  if (!request.isMultipart())
    throw new RequestError(415, 'unsupported_media_type', 'the body must be multipart/form-data');
  const tooLarge = () => new RequestError(413, 'too_large', `the form has more than ${body} bytes`);
  if (Number(request.headers['content-length']) > body) throw tooLarge();
  let size = 0;
  const fields = Object.create(null) as Record<string, string>;
  const files = Object.create(null) as Record<string, Uint8Array[]>;
  try {
    for await (const part of request.parts()) {
      if ('valueTruncated' in part && part.valueTruncated)
        throw new RequestError(413, 'too_large', 'a field of the form is too long');
      const name = part.fieldname.replace(/\[\]$/, '');
      if (part.type === 'file') {
        const bytes = await part.toBuffer();
        size += bytes.length;
        files[name] = [...(files[name] ?? []), bytes];
      } else if (typeof part.value === 'string') {
        size += part.value.length;
        fields[name] = part.value;
      }
      if (size > body) throw tooLarge();
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    const { statusCode, message } = error as { statusCode?: number; message: string };
    if (statusCode !== undefined && statusCode < 500) throw error;
    throw new RequestError(400, 'bad_request', `the form cannot be read: ${message}`);
  }
  return { fields, files };
}
