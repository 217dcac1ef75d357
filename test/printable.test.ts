import { describe, expect, test } from '@jest/globals';
import { oneLine, printable } from '../lib/printable.js';

describe('printable', () => {
  test.each([
    ['ESC', '\x1b[2J', '\\u001b[2J'],
    ['C1', '\x9b31m', '\\u009b31m'],
    ['BEL, CR, backspace, DEL', '\x07\r\b\x7f', '\\u0007\\u000d\\u0008\\u007f'],
    ['directions', 'a\u202eb\u2066c\u200f', 'a\\u202eb\\u2066c\\u200f'],
    ['zero width', 'a\u200bb\u200d\ufeff\u2060\u00ad', 'a\\u200bb\\u200d\\ufeff\\u2060\\u00ad'],
    ['line separators', '\u2028\u2029\x85', '\\u2028\\u2029\\u0085'],
    ['tags', '\u{e0041}', '\\udb40\\udc41'],
    ['half a pair', '\ud800', '\\ud800'],
    ['letters without a shape', '\u3164\u115f\u034f', '\\u3164\\u115f\\u034f'],
    ['texts', 'a\tb\nein Fährhaus, 漢字, ☁, 🐱', 'a\tb\nein Fährhaus, 漢字, ☁, 🐱'],
  ])('%s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(printable(shown)).toBe(shown);
  });

  test('JSON means the same as before', () => {
    const value = { '\x9b\u202e': ['\x1b', '\u{e0041}', 'a\nb', '\x7f'] };
    const text = printable(JSON.stringify(value, null, 2));
    expect(JSON.parse(text)).toEqual(value);
    expect(text).toMatch(/^[\n -~]*$/);
  });
});

test('oneLine', () => {
  expect(oneLine('a\n  b\r\nc\x1b')).toBe('a b c\\u001b');
});
