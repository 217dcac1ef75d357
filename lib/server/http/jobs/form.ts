import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { invalidArgument, messageOf } from '../../../errors.js';
import { RequestError } from '../errors.js';
import type { Limits } from '../limits.js';
import { acceptForms, type Form, readForm } from '../multipart.js';
import { OFFERED, PICTURES } from './run-fields.js';

// A job as a form (multipart/form-data): its JSON in the field `job`, and pictures as files under the names of their
// options, which saves a third of the bytes.

/** Pictures to start from, and one for each network that sees some. */
const MOST_FILES = 16;

type Files = Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>;

const NONE: Files = {};
const files = new WeakMap<FastifyRequest, Files>();

/**
 * Teaches a scope to read them.
 *
 * @returns reads the form of a request, where it is one: its JSON is the body then.
 */
export async function acceptJobForms(
  app: FastifyInstance,
  limits: Limits,
): Promise<(request: FastifyRequest) => Promise<void>> {
  await acceptForms(app, limits, MOST_FILES);
  return async (request) => {
    if (!request.isMultipart()) return;
    const form = await readForm(request, limits);
    request.body = jobOf(form);
    files.set(request, picturesOf(form));
  };
}

/** The pictures that came as files, by the names of their options. */
export function filesOf(request: FastifyRequest): Files {
  return files.get(request) ?? NONE;
}

/** Tells requests from each other. */
export function digestOf(body: object, pictures: Files): string {
  const hash = createHash('sha256').update(JSON.stringify(body));
  for (const [name, list] of Object.entries(pictures)) {
    for (const bytes of [list].flat()) hash.update(`\n${name} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}

function jobOf({ fields: { job = '{}', ...others } }: Form): unknown {
  const [name] = Object.keys(others);
  if (name !== undefined)
    throw invalidArgument(
      name.slice(0, 100),
      'is a field of the form; options are in the JSON of its field job',
    );
  try {
    return JSON.parse(job);
  } catch (error) {
    throw new RequestError(400, 'bad_request', `the field job is not JSON: ${messageOf(error)}`);
  }
}

function picturesOf({ files: given }: Form): Files {
  const pictures: Record<string, Uint8Array | readonly Uint8Array[]> = {};
  for (const [name, list] of Object.entries(given)) {
    const shown = name.slice(0, 100);
    if (!PICTURES.has(name))
      throw invalidArgument(shown, 'is a file, and no option takes pictures by that name');
    const [first] = list;
    const takesMany = OFFERED.some(([other, , json]) => other === name && json.anyOf !== undefined);
    if (first === undefined) continue;
    if (list.length > 1 && !takesMany) throw invalidArgument(shown, `is one picture, got ${list.length}`);
    pictures[name] = list.length === 1 ? first : list;
  }
  return pictures;
}
