import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { charactersIn, wrapText } from '../lib/compare/canvas.js';
import { glyphRows } from '../lib/compare/font.js';
import { escapeHtml } from '../lib/compare/html.js';
import { type Comparison, compare } from '../lib/entries/evaluate.js';
import { Image, type StableDiffusionPipeline } from '../lib/index.js';
import { loadTiny } from './pipelines/tiny.js';

const HOSTILE = `<img src=x onerror="alert('1')"> & </script>`;

let pipe: StableDiffusionPipeline;
let comparison: Comparison;
beforeAll(async () => {
  pipe = await loadTiny();
  const options = { prompt: [HOSTILE, 'a dog'], steps: 9, scheduler: 'DDIM', seed: 5 } as const;
  comparison = await compare(pipe, options, { 'A & <b>': { interval: 3 }, same: { interval: 1 } });
});
afterAll(() => pipe.dispose());

/** Where a picture is to be found in a larger one, each of its pixels as zoom x zoom ones. */
function find(image: Image, inside: Image, zoom: number): { x: number; y: number } | undefined {
  const same = (x: number, y: number) => {
    for (let i = 0; i < image.data.length; i++) {
      const pixel = Math.floor(i / 3);
      const [left, top] = [x + (pixel % image.width) * zoom, y + Math.floor(pixel / image.width) * zoom];
      for (const [dx, dy] of [
        [0, 0],
        [zoom - 1, zoom - 1],
      ] as const) {
        const at = ((top + dy) * inside.width + left + dx) * 3 + (i % 3);
        if (inside.data[at] !== image.data[i]) return false;
      }
    }
    return true;
  };
  for (let y = 0; y + image.height * zoom <= inside.height; y++) {
    for (let x = 0; x + image.width * zoom <= inside.width; x++) if (same(x, y)) return { x, y };
  }
  return undefined;
}

describe('the picture', () => {
  test('has all pictures, a row for each prompt and a column for each run', () => {
    const picture = comparison.picture();
    const { reference, runs } = comparison;
    // Pictures of 64 pixels are enlarged four times.
    const places = [0, 1].map((row) =>
      [reference, runs[0]].map((run) => find(run?.images[row] as Image, picture, 4)),
    );
    const [[a, b], [c, d]] = places as [
      [{ x: number; y: number }, { x: number; y: number }],
      (typeof places)[0],
    ];
    expect([a, b, c, d]).not.toContain(undefined);
    expect(b.x).toBeGreaterThanOrEqual(a.x + 256);
    expect(b.y).toBe(a.y);
    expect(c?.y).toBeGreaterThanOrEqual(a.y + 256);
    expect([c?.x, d?.x]).toEqual([a.x, b.x]);
    expect(picture.width).toBeGreaterThanOrEqual(3 * 256);
  });

  test('has captions: ink on paper below each picture, within its column', () => {
    const picture = comparison.picture();
    const { x, y } = find(comparison.runs[0]?.images[0] as Image, picture, 4) as { x: number; y: number };
    const ink = (left: number, right: number) => {
      let count = 0;
      for (let row = y + 257; row < y + 275; row++) {
        for (let column = left; column < right; column++) {
          if ((picture.data[(row * picture.width + column) * 3] as number) < 128) count++;
        }
      }
      return count;
    };
    // 'PSNR 12.3 dB, SSIM 0.1234, L2 0.123': some 35 letters of about 12 dots.
    expect(ink(x, x + 256)).toBeGreaterThan(250);
    expect(ink(x + 256, x + 270)).toBe(0);
  });

  test('of large pictures is not enlarged', async () => {
    const large = await compare(pipe, { prompt: 'x', steps: 2, width: 512, height: 64 }, [{ interval: 2 }]);
    const picture = large.picture();
    expect(find(large.reference.image, picture, 1)).toBeDefined();
    expect(picture.width).toBeLessThan(2 * 512 + 200);
  });
});

describe('captions', () => {
  test('every ASCII character has a glyph of its own', () => {
    const glyphs = Array.from({ length: 95 }, (_, i) => glyphRows(String.fromCharCode(32 + i)));
    for (const rows of glyphs) expect(rows).toHaveLength(9);
    expect(glyphs.flat().every((row) => row >= 0 && row < 32)).toBe(true);
    expect(new Set(glyphs.map((rows) => rows.join())).size).toBe(95);
    expect(glyphRows('L')).toEqual([16, 16, 16, 16, 16, 16, 31, 0, 0]);
    expect(glyphRows('~')).toEqual([0, 0, 0b01101, 0b10010, 0, 0, 0, 0, 0]);
  });

  test('what has no glyph is shown as a box', () => {
    expect(glyphRows('犬')).toEqual(glyphRows('\u0000'));
    expect(glyphRows('犬')).not.toEqual(glyphRows(' '));
    expect(wrapText('Schnée  à\nla 犬', 40, 1)).toEqual(['Schnee a la 犬']);
  });

  test('break between words, and within what is too long', () => {
    expect(wrapText('a red barn under a blue sky', 10, 9)).toEqual(['a red barn', 'under a', 'blue sky']);
    expect(wrapText('abcdefghijkl mn', 5, 9)).toEqual(['abcde', 'fghij', 'kl mn']);
    expect(wrapText('a red barn under a blue sky', 10, 2)).toEqual(['a red barn', 'under a…']);
    expect(wrapText('abcdefghij klm', 10, 1)).toEqual(['abcdefghi…']);
    expect(wrapText('', 10, 2)).toEqual([]);
    expect(charactersIn(11, 1)).toBe(2);
    expect(charactersIn(10, 1)).toBe(1);
    expect(charactersIn(22, 2)).toBe(2);
  });
});

describe('the page', () => {
  test('holds every picture, as it is', async () => {
    const html = await comparison.html();
    const images = [
      ...html.matchAll(/<img data-run="(\d)" data-row="(\d)"[^>]* src="data:image\/png;base64,([^"]+)"/g),
    ];
    expect(images).toHaveLength(6);
    const all = [comparison.reference, ...comparison.runs];
    for (const [, run, row, base64] of images) {
      const { data } = await Image.open(Buffer.from(base64 as string, 'base64'));
      expect(data).toEqual(all[Number(run)]?.images[Number(row)]?.data);
    }
  });

  test('escapes what users wrote, and points to nothing outside', async () => {
    const html = await comparison.html();
    expect(html).not.toContain('<img src=x');
    expect(html).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; &lt;/script&gt;');
    expect(html).toContain('<span>A &amp; &lt;b&gt;</span>');
    expect(html.match(/<\/(script|style)/g)).toEqual(['</style', '</script']);
    expect(html).not.toMatch(/https?:|src="(?!data:)|href=|url\(|import/);
  });

  test('shows controls and direction marks instead of obeying them', () => {
    expect(escapeHtml('a\u001b[2J\u202eb')).toBe('a\\u001b[2J\\u202eb');
  });

  test('has the figures, infinity as such', async () => {
    const html = await comparison.html();
    const rows = [...html.matchAll(/<tr data-run="\d">(.*?)<\/tr>/g)].map(([, row]) =>
      [...(row as string).matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, text]) => text),
    );
    const cached = comparison.runs[0];
    expect(rows[0]?.slice(-4)).toEqual(['100 %', '∞ dB', '1.0000', '0']);
    expect(rows[1]?.[0]).toBe('A &amp; &lt;b&gt;');
    expect(rows[1]?.slice(3, 6)).toEqual(['3', '6', '0']);
    expect(rows[1]?.[7]).toBe(`${cached?.psnr.toFixed(1)} dB`);
    expect(rows[1]?.[8]).toBe(cached?.ssim.toFixed(4));
    expect(rows[2]?.slice(-3)).toEqual(['∞ dB', '1.0000', '0']);
  });
});
