import { expect, test } from '@jest/globals';
import { BytePairEncoder } from '../../lib/tokenizers/bpe.js';
import { Random } from '../random.js';

const ranksOf = (merges: readonly string[]) => new Map(merges.map((pair, rank) => [pair, rank]));

/** By the book: the best pair is joined wherever it is, then the whole word is looked through again. */
function byTheBook(merges: readonly string[], word: string): string[] {
  const ranks = ranksOf(merges);
  let pieces = [...word].map((letter, i) => (i === word.length - 1 ? `${letter}</w>` : letter));
  for (;;) {
    const pairs = pieces.slice(1).map((right, i) => `${pieces[i]} ${right}`);
    const best = Math.min(...pairs.map((pair) => ranks.get(pair) ?? Number.POSITIVE_INFINITY));
    if (!Number.isFinite(best)) return pieces;
    const merged: string[] = [];
    for (let i = 0; i < pieces.length; i++) {
      const joins = i + 1 < pieces.length && ranks.get(`${pieces[i]} ${pieces[i + 1]}`) === best;
      merged.push(joins ? `${pieces[i]}${pieces[++i]}` : (pieces[i] as string));
    }
    pieces = merged;
  }
}

test('random merges, in an order that no training makes, join as by the book', () => {
  const random = new Random(1);
  for (let round = 0; round < 300; round++) {
    const pieces = ['a', 'b', 'a</w>', 'b</w>'];
    const merges: string[] = [];
    for (let i = 0; i < 12; i++) {
      const [left, right] = [random.of(pieces.filter((piece) => !piece.includes('<'))), random.of(pieces)];
      merges.splice(random.below(merges.length + 1), 0, `${left} ${right}`);
      pieces.push(left + right);
    }
    const encoder = new BytePairEncoder(ranksOf(merges));
    for (let i = 0; i < 10; i++) {
      const word = random.text('ab', 1 + random.below(30));
      expect(encoder.encode(word)).toEqual(byTheBook(merges, word));
    }
  }
});

test('a word of any length', () => {
  const encoder = new BytePairEncoder(ranksOf(['a a', 'aa aa', 'aa aa</w>', 'a a</w>']));
  expect(encoder.encode('a'.repeat(200_000))).toHaveLength(50_000);
  expect(encoder.encode('b'.repeat(200_000))).toHaveLength(200_000);
});
