import { expect, test } from '@jest/globals';
import { unknownFields } from '../../lib/models/known-fields.js';

test('fields that no such model has are named, up to a number', () => {
  const config = { _class_name: 'AutoencoderKL', in_channels: 3, _note: 1, depth: null, new_field: 2 };
  expect(unknownFields(config)).toEqual(['"new_field" is not a field of AutoencoderKL and is left out']);
  const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`field_${i}`, i]));
  const told = unknownFields({ ...config, ...many });
  expect(told).toHaveLength(21);
  expect(told[20]).toBe('1981 more of its fields are not known either');
});
