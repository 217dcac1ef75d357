import { expect, test } from '@jest/globals';
import { printableLog } from '../lib/log.js';

test('what a file says does not reach the log as a terminal would obey it', () => {
  const messages: string[] = [];
  printableLog((message) => messages.push(message))('the class \u001b]0;owned\u0007 is not known');
  expect(messages).toHaveLength(1);
  expect(messages[0]).not.toMatch(/\p{Cc}/u);
  expect(messages[0]).toContain('is not known');
});
