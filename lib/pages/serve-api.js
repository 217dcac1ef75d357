// How the server's page speaks with the server.

/** @typedef {{ event: string, data: any }} Happening */

/** An answer that is no success. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Whoever leaves the page wants nothing more of it; a browser that keeps pages for the way back would go on. */
const leaving = new AbortController();
addEventListener('pagehide', () => leaving.abort());
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});

/** The key is kept as long as the tab is. */
const KEY = 'deepcache-key';
export const savedKey = () => sessionStorage.getItem(KEY) ?? '';
/** @param {string} key */
export const saveKey = (key) => sessionStorage.setItem(KEY, key);

/**
 * @param {string} path
 * @param {RequestInit} [options]
 */
async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (savedKey()) headers.set('authorization', `Bearer ${savedKey()}`);
  const response = await fetch(path, { ...options, headers, signal: leaving.signal });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refusal(response.status, body.error?.message ?? `the server answered ${response.status}`);
}

/** @param {string} path */
export const get = async (path) => (await ask(path)).json();

/** @param {string} id */
export const cancel = (id) => ask(`api/jobs/${id}`, { method: 'DELETE' });

/**
 * Hands in a job, and tells what happens to it until its end.
 *
 * @param {object} wish
 * @returns {AsyncGenerator<Happening, void, void>}
 */
export async function* follow(wish) {
  const response = await ask('api/jobs', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(wish),
  });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) };
    }
  }
}
