import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { flagsNamed } from '../lib/cli/flags.js';
import { type GenerateFlags, toGenerateOptions, toLoadOptions } from '../lib/cli/generate-options.js';

/** The options that flags stand for. */
function optionsOf(text: string): object {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  for (const flag of flagsNamed(['controlImage', 'controlMode'])) command.addOption(flag);
  return toGenerateOptions(command.parse(text.split(' '), { from: 'user' }).opts() as GenerateFlags);
}

test.each([
  ['--control-image a --control-mode 3', 'a', [3]],
  ['--control-image a --control-image b --control-mode 0,3', ['a', 'b'], [0, 3]],
  ['--control-image a --control-image b --control-mode 0 --control-mode 3', ['a', 'b'], [0, 3]],
  [
    '--control-image a --control-image b --control-image c --control-mode 0,3 --control-mode 1',
    [['a', 'b'], 'c'],
    [[0, 3], 1],
  ],
  ['--control-image a --control-image b --control-mode none --control-mode 2', ['a', 'b'], [[], 2]],
  [
    '--control-image a --control-image b --control-image c --control-mode none --control-mode 2,5',
    ['a', ['b', 'c']],
    [[], [2, 5]],
  ],
])('%s', (flags, controlImage, controlMode) => {
  expect(optionsOf(flags)).toEqual({ controlImage, controlMode });
});

test('--control is a network and what it sees', () => {
  const files = (...control: string[]) => {
    const flags = { control } as GenerateFlags;
    const { controlNet } = toLoadOptions(flags);
    return [controlNet, (toGenerateOptions(flags) as { controlImage: unknown }).controlImage];
  };
  expect(files('a=1.png')).toEqual([['a'], '1.png']);
  expect(files('a=1.png', 'b=2.png')).toEqual([
    ['a', 'b'],
    ['1.png', '2.png'],
  ]);
  // Of a union.
  expect(files('a=1.png', 'a=2.png')).toEqual([['a'], ['1.png', '2.png']]);
  expect(files('a=1.png', 'b=2.png', 'a=3.png')).toEqual([
    ['a', 'b'],
    [['1.png', '3.png'], '2.png'],
  ]);
  expect(() => files('a')).toThrow('control must be FILE=picture, got "a"');
});

test('what settings of a picture say is taken as it is', () => {
  const given = { controlImage: [['a', 'b'], 'c'], controlMode: [[0, 3], 1] };
  expect(toGenerateOptions(given as GenerateFlags)).toEqual(given);
  expect(toGenerateOptions({ controlMode: 2 } as GenerateFlags)).toEqual({ controlMode: 2 });
});

test('what is no number is refused', () => {
  expect(() => optionsOf('--control-mode a')).toThrow(/must be a number/);
});
