import { Type } from '@sinclair/typebox';
import * as json from '../../../options/json.js';

// Networks that a request names, in the place of the files that they are in code.

const blocks = json.oneOrList(json.real(-100, 100));
const number = json.real(-100, 100);
const unet = { anyOf: [number, json.object({ down: blocks, mid: number, up: blocks })] };
const scale = { anyOf: [number, json.object({ unet, textEncoder: number, textEncoder2: number })] };
const names = (description: string) =>
  Type.Optional(Type.Unsafe({ ...json.list(json.name, 8), description }));

/** A part of the schema of requests. */
export const NetworkFields = {
  loras: Type.Optional(
    Type.Unsafe({
      ...json.list(json.object({ name: json.name, scale }, ['name']), 16),
      description: 'Adapters (LoRA) that count, by their names, and how much: 1 by default.',
    }),
  ),
  controlNets: names(
    'ControlNets that see controlImage, by their names: with several it has a picture for each. Default: the only one.',
  ),
  t2iAdapters: names('The same of T2I-Adapters and t2iAdapterImage.'),
  ipAdapters: names('The same of IP-Adapters and ipAdapterImage.'),
};
