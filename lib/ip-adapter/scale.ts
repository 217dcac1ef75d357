import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';

/** How much a picture counts: everywhere the same, or by blocks of the U-Net. */
export type IpAdapterScale = number | IpAdapterBlockScales;

/**
 * By blocks, in diffusers' form: `{ down: { block_2: [0, 1] }, up: { block_0: [0, 1, 0] } }`. A list has a number for each
 * attention of the block. What is not named counts nothing.
 */
export interface IpAdapterBlockScales {
  down?: BlockScale | Readonly<Record<string, BlockScale>>;
  mid?: BlockScale;
  up?: BlockScale | Readonly<Record<string, BlockScale>>;
}

type BlockScale = number | readonly number[];

const PARTS = ['down', 'mid', 'up'] as const;

/** Throws for what is no scale of any U-Net. */
export function checkIpAdapterScale(name: string, value: unknown): IpAdapterScale {
  if (Number.isFinite(value)) return value as number;
  if (!isRecord(value))
    throw invalidArgument(name, `must be a number or { down, mid, up }, got ${show(value)}`);
  for (const [part, scale] of Object.entries(value)) {
    if (!PARTS.some((known) => known === part))
      throw invalidArgument(`${name}.${part}`, 'is not known; scales are of down, mid and up');
    if (part === 'mid' || !isRecord(scale)) checkBlock(`${name}.${part}`, scale);
    else for (const [block, own] of Object.entries(scale)) checkBlock(`${name}.${part}.${block}`, own);
  }
  return value as IpAdapterBlockScales;
}

function checkBlock(name: string, value: unknown): void {
  if (Number.isFinite(value)) return;
  if (Array.isArray(value) && value.length > 0 && value.every(Number.isFinite)) return;
  throw invalidArgument(name, `must be a number, or a list of numbers, got ${show(value)}`);
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where a cross attention is. */
interface Place {
  readonly part: (typeof PARTS)[number];
  readonly block: string;
  readonly layer: number;
}

function placeOf(attention: string): Place {
  const [, part, block, layer] =
    /^(down|up|mid)_block(?:s\.(\d+))?\.attentions\.(\d+)\./.exec(attention) ?? [];
  return { part: part as Place['part'], block: `block_${block}`, layer: Number(layer) };
}

/** The scale of each of a U-Net's cross attentions. Throws for blocks that it does not have. */
export function scalesOf(name: string, scale: IpAdapterScale, attentions: readonly string[]): number[] {
  if (typeof scale === 'number') return attentions.map(() => scale);
  const places = attentions.map(placeOf);
  for (const part of ['down', 'up'] as const) {
    const given = scale[part];
    for (const block of isRecord(given) ? Object.keys(given) : []) {
      if (places.some((place) => place.part === part && place.block === block)) continue;
      const known = [...new Set(places.filter((place) => place.part === part).map((place) => place.block))];
      throw invalidArgument(
        `${name}.${part}.${block}`,
        `is no block that reads text; these do: ${known.join(', ')}`,
      );
    }
  }
  const layersOf = ({ part, block }: Place) =>
    new Set(places.filter((other) => other.part === part && other.block === block).map(({ layer }) => layer))
      .size;
  return places.map((place) => {
    const { part, block, layer } = place;
    const given = scale[part];
    const own = (isRecord(given) ? given[block] : given) as BlockScale | undefined;
    if (!Array.isArray(own)) return (own as number | undefined) ?? 0;
    if (own.length === layersOf(place)) return own[layer] as number;
    const where = isRecord(given) ? `${name}.${part}.${block}` : `${name}.${part}`;
    throw invalidArgument(where, `has ${own.length} numbers for ${layersOf(place)} attentions`);
  });
}
