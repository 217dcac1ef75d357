/**
 * Where a tensor of diffusers' or transformers' layout lies in an original checkpoint: under which key, and what has to be
 * done to it.
 */
export interface Place {
  readonly key: string;
  /**
   * `transpose`: stored [in, out], wanted [out, in]; `squeeze_hw`: a linear layer stored as a 1x1 convolution;
   * `concat_rows`: it is one of three matrices that are stored one below the other.
   */
  readonly op?: 'transpose' | 'squeeze_hw' | 'concat_rows';
  /** With `concat_rows`: which of the three. */
  readonly part?: 0 | 1 | 2;
}

/** The place of a tensor by its name in diffusers or transformers. */
export type Naming = (name: string) => Place;

/** A layout that has the names of diffusers or transformers themselves. */
export const sameNames: Naming = (key) => ({ key });

/** Puts a prefix before every key. */
export function prefixed(prefix: string, naming: Naming): Naming {
  return (name) => {
    const place = naming(name);
    return { ...place, key: prefix + place.key };
  };
}

/** Whole modules of a path, and what stands in their place. */
export type Replacements = readonly (readonly [from: string, to: string])[];

/** Replaces modules of a path, each once, in their order. */
export function replaceModules(path: string, replacements: Replacements): string {
  let dotted = `.${path}.`;
  for (const [from, to] of replacements) dotted = dotted.replace(`.${from}.`, `.${to}.`);
  return dotted.slice(1, -1);
}

/** The key of a tensor's running mean (LDM's LitEma): without its first module and without dots. */
export function averagedKey(key: string): string {
  return `model_ema.${key.slice(key.indexOf('.') + 1).replaceAll('.', '')}`;
}
