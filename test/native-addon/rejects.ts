import { expect, test } from '@jest/globals';

/** Wrong arguments go through `any`: the types forbid most of them. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Any = any;

/** What a call throws, or its promise rejects with. */
export async function errorOf(call: () => Any): Promise<{ code?: string; message: string }> {
  try {
    const result = call();
    await result?.promise;
  } catch (error) {
    return error as Error;
  }
  return { message: 'nothing was thrown' };
}

/** Each case: what is wrong, how it is called, and what the message must say. */
export function rejects(
  cases: readonly (readonly [name: string, call: () => Any, message: RegExp | string])[],
  code = 'ERR_DEEPCACHE_INVALID_ARGUMENT',
) {
  test.each(cases)('%s', async (_, call, message) => {
    const error = await errorOf(call);
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
}
