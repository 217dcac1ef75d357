import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { DeepCacheError, ERROR_CODES, fromNative, invalidArgument } from '../lib/errors.js';

describe('fromNative', () => {
  test('wraps a coded error of another realm and keeps it as the cause', () => {
    const error = vm.runInNewContext(
      "Object.assign(new Error('x.safetensors: truncated'), { code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' })",
    );
    const wrapped = fromNative(error);
    expect(wrapped).toBeInstanceOf(DeepCacheError);
    expect(wrapped).toMatchObject({
      name: 'DeepCacheError',
      code: 'ERR_DEEPCACHE_INVALID_WEIGHTS',
      message: 'x.safetensors: truncated',
      cause: error,
    });
  });

  test.each([
    new TypeError('plain'),
    Object.assign(new Error('file'), { code: 'ENOENT' }),
    Object.assign(new Error('unknown'), { code: 'ERR_DEEPCACHE_NO_SUCH_CODE' }),
    invalidArgument('steps', 'must be at least 1'),
    'a string',
    undefined,
  ])('returns %p as it is', (error) => {
    expect(fromNative(error)).toBe(error);
  });
});

test('invalidArgument names the argument', () => {
  expect(invalidArgument('steps', 'must be at least 1, got 0')).toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: 'steps must be at least 1, got 0',
  });
});

test('every code is documented with its meaning', () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  for (const [code, meaning] of Object.entries(ERROR_CODES))
    expect(page).toContain(`| \`${code}\` | ${meaning} |`);
  expect(page.match(/^\| `ERR_/gm)).toHaveLength(Object.keys(ERROR_CODES).length);
});

test('a message shows control characters, and does not hand them on', () => {
  expect(invalidArgument('x\x1b[2J', 'y\u202e').message).toBe('x\\u001b[2J y\\u202e');
});

test('names of native arguments are left out', () => {
  const error = Object.assign(new Error('request.steps must be less'), {
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
  });
  expect(fromNative(error)).toMatchObject({ message: 'steps must be less' });
});
