/** A kind of U-Net pass: what its cost depends on besides its samples. */
export interface PassKind {
  readonly model: string;
  /** 'full', 'predict', or what a cached call is: 'retrieve 0'. */
  readonly call: string;
  /** Latent pixels of a sample. */
  readonly pixels: number;
}

/** Milliseconds of a pass: `fixed`, and `each` for every sample. */
export interface PassCost {
  readonly fixed: number;
  readonly each: number;
}

/** What a run of so many samples costs alone. */
export const costOf = ({ fixed, each }: PassCost, samples: number): number => fixed + each * samples;

/** Of a kind that nobody has measured. */
const GUESS: PassCost = { fixed: 1, each: 2 };
const RETRIEVE_SHARE = 0.2;
/** Of a pass's time that grows with its samples, while only one number of samples was seen. */
const GROWING = 0.75;
/** How much an observation still counts after one more. */
const MEMORY = 0.97;

/** What passes take: known beforehand, or learnt from those that ran, by a line through their times (least squares). */
export class Costs {
  readonly #learnt = new Map<string, Line>();

  /** @param known asked before what was learnt. */
  constructor(private readonly known: (kind: PassKind) => PassCost | undefined = () => undefined) {}

  /** Whether any pass of the model was seen. */
  knows(model: string): boolean {
    if (this.known({ model, call: 'full', pixels: 1 })) return true;
    return [...this.#learnt.values()].some(({ kind }) => kind.model === model);
  }

  of(kind: PassKind): PassCost {
    if (kind.call === 'predict') return { fixed: 0, each: 0 };
    const found = this.known(kind) ?? this.#learnt.get(keyOf(kind))?.cost ?? this.#ofOtherSize(kind);
    if (found) return found;
    if (kind.call === 'full') return GUESS;
    const { fixed, each } = this.of({ ...kind, call: 'full' });
    return { fixed: RETRIEVE_SHARE * fixed, each: RETRIEVE_SHARE * each };
  }

  /** A pass has run. */
  ran(kind: PassKind, samples: number, milliseconds: number): void {
    const key = keyOf(kind);
    let line = this.#learnt.get(key);
    if (!line) {
      line = new Line(kind);
      this.#learnt.set(key, line);
    }
    line.add(samples, milliseconds);
  }

  #ofOtherSize(kind: PassKind): PassCost | undefined {
    for (const { kind: other, cost } of this.#learnt.values()) {
      if (other.model !== kind.model || other.call !== kind.call) continue;
      return { fixed: cost.fixed, each: (cost.each * kind.pixels) / other.pixels };
    }
    return undefined;
  }
}

/** It is asked for again and again for each pass; names of models have no line feeds that could be mistaken. */
const keyOf = ({ model, call, pixels }: PassKind) => `${pixels}\n${call}\n${model}`;

/** Times over samples, of which the newest count most. */
class Line {
  #weight = 0;
  #n = 0;
  #t = 0;
  #nn = 0;
  #nt = 0;

  constructor(readonly kind: PassKind) {}

  add(n: number, t: number): void {
    this.#weight = MEMORY * this.#weight + 1;
    this.#n = MEMORY * this.#n + n;
    this.#t = MEMORY * this.#t + t;
    this.#nn = MEMORY * this.#nn + n * n;
    this.#nt = MEMORY * this.#nt + n * t;
  }

  get cost(): PassCost {
    const [n, t] = [this.#n / this.#weight, this.#t / this.#weight];
    const variance = this.#nn / this.#weight - n * n;
    const covariance = this.#nt / this.#weight - n * t;
    // A guess of the slope counts as much as a spread of half a sample.
    const slope = (covariance + (0.25 * GROWING * t) / n) / (variance + 0.25);
    const each = Math.min(Math.max(slope, 0), t / n);
    return { fixed: Math.max(t - each * n, 0), each };
  }
}
