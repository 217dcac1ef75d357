// Pictures in terminals: escape sequences that carry a PNG as base64.

/** iTerm2's inline images, which WezTerm understands too, or kitty's graphics protocol, which Ghostty does. */
export type ImageProtocol = 'iterm2' | 'kitty';

/**
 * How the terminal shows pictures, by the environment variables that it sets; undefined when it does not, or when
 * nobody can tell.
 */
export function imageProtocol(env: Readonly<Record<string, string | undefined>>): ImageProtocol | undefined {
  // tmux and screen swallow the sequences, and inherit the variables of the terminal that they were started in.
  if (env.TMUX || env.STY || /^(tmux|screen)/.test(env.TERM ?? '')) return undefined;
  if (env.KITTY_WINDOW_ID || env.TERM === 'xterm-kitty' || env.TERM_PROGRAM === 'ghostty') return 'kitty';
  // ssh hands on variables that begin with LC_, and not TERM_PROGRAM.
  const program = env.TERM_PROGRAM ?? env.LC_TERMINAL ?? '';
  return ['iTerm.app', 'iTerm2', 'WezTerm'].includes(program) ? 'iterm2' : undefined;
}

/** Shows a PNG with its upper left corner at the cursor, `rows` text lines high. */
export function imageSequence(png: Buffer, protocol: ImageProtocol, rows: number): string {
  const base64 = png.toString('base64');
  // Sources: iterm2.com/documentation-images.html, sw.kovidgoyal.net/kitty/graphics-protocol.
  if (protocol === 'iterm2') {
    return `\x1b]1337;File=inline=1;size=${png.length};height=${rows};preserveAspectRatio=1:${base64}\x07`;
  }
  const chunks = base64.match(/.{1,4096}/g) ?? [];
  // A picture of the same number replaces the one before; q=2: the terminal shall not answer.
  const first = `a=T,f=100,i=${IMAGE},p=1,r=${rows},C=1,q=2,`;
  return chunks
    .map((chunk, i) => `\x1b_G${i === 0 ? first : ''}m=${i < chunks.length - 1 ? 1 : 0};${chunk}\x1b\\`)
    .join('');
}

const IMAGE = 7331;
