/**
 * A bitmap font for captions, so that pictures look the same on servers without any fonts. Glyphs are 5 pixels wide and
 * 9 high, the last two rows below the baseline; a row is one base-32 digit, its highest bit on the left.
 */
export const GLYPH_WIDTH = 5;
export const GLYPH_HEIGHT = 9;

/** ASCII from the space on. */
const ASCII = `
  000000000 444440400 aaa000000 aavavaa00 4fke5u400 pp248jj00 cik8lid00 448000000 248884200
  842224800 04lel4000 044v44000 000006624 000e00000 000006600 11248gg00 ehjlphe00 4c4444e00
  eh168gv00 eh161he00 26aiv2200 vgu11he00 68guhhe00 v12244400 ehhehhe00 ehhf12c00 066006600
  066006624 248g84200 00v0v0000 842124800 eh1640400 ehnlnge00 ehhvhhh00 uhhuhhu00 ehggghe00
  uhhhhhu00 vgguggv00 vgguggg00 ehgnhhe00 hhhvhhh00 e44444e00 72222ic00 hikokih00 ggggggv00
  hrllhhh00 hppljjh00 ehhhhhe00 uhhuggg00 ehhhlid00 uhhukih00 fgge11u00 v44444400 hhhhhhe00
  hhhhaa400 hhhllrh00 hha4ahh00 hha444400 v1248gv00 e88888e00 gg8421100 e22222e00 4ah000000
  0000000v0 842000000 00e1fhf00 gguhhhu00 00ehghe00 11fhhhf00 00ehvge00 68u888800 00fhhhf1e
  gguhhhh00 40c444e00 2062222ic ggikoki00 c44444e00 00qllll00 00uhhhh00 00ehhhe00 00uhhhugg
  00fhhhf11 00mpggg00 00fge1u00 88u889600 00hhhhf00 00hhha400 00hhlla00 00ha4ah00 00hhhhf1e
  00v248v00 244844200 444444444 844244800 00di00000
`;

const OTHERS: Readonly<Record<string, string>> = {
  '×': '0ha4ah000',
  '∞': '00alla000',
  '–': '000v00000',
  '…': '000000l00',
};

/** Stands for every character that the font does not have. */
const UNKNOWN = 'vhhhhhv00';

const ascii = ASCII.trim().split(/\s+/);

/** The rows of a character's glyph as numbers of {@link GLYPH_WIDTH} bits. */
export function glyphRows(character: string): number[] {
  const code = OTHERS[character] ?? ascii[character.charCodeAt(0) - 32] ?? UNKNOWN;
  return Array.from(code, (digit) => Number.parseInt(digit, 32));
}

/** The text in characters that the font has: letters lose their accents, white space becomes spaces. */
export function toGlyphs(text: string): string[] {
  return Array.from(text.replace(/\s+/g, ' ').normalize('NFD').replace(/\p{M}/gu, ''));
}
