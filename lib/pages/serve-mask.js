// The picture to start from, and what of it is to be repainted: by a pointer, a finger or the keyboard.
import { asUrl, find } from './serve-dom.js';

const canvas = /** @type {HTMLCanvasElement} */ (/** @type {unknown} */ (find('mask')));
const context = /** @type {CanvasRenderingContext2D} */ (
  canvas.getContext('2d', { willReadFrequently: true })
);
const picture = /** @type {HTMLImageElement} */ (/** @type {unknown} */ (find('start-picture')));
/** What has the focus. */
const board = find('board');
const cursor = find('cursor');
/** Seen over the picture; in the mask that is sent it is white. */
const COLOR = 'rgb(255 60 60)';
/** Where keys paint, in pixels of the picture. */
let at = { x: 0, y: 0 };
/** @type {string | undefined} */
let source;

/** Pixels of the picture; the slider's value is a share of its longer side, in percent. */
const radius = () => Math.max(1, (Number(find('brush').value) * Math.max(canvas.width, canvas.height)) / 200);
const isErasing = () => find('erase').getAttribute('aria-pressed') === 'true';

/** @param {{ x: number, y: number }} from @param {{ x: number, y: number }} to @param {boolean} erases */
function stroke(from, to, erases) {
  context.globalCompositeOperation = erases ? 'destination-out' : 'source-over';
  context.strokeStyle = COLOR;
  context.lineCap = 'round';
  context.lineWidth = 2 * radius();
  context.beginPath();
  context.moveTo(from.x, from.y);
  // A line to where it is draws nothing in some browsers.
  context.lineTo(to.x + 0.01, to.y);
  context.stroke();
  context.globalCompositeOperation = 'source-over';
}

/** @param {PointerEvent} event */
function pointOf(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - left) / width) * canvas.width,
    y: ((event.clientY - top) / height) * canvas.height,
  };
}

canvas.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  at = pointOf(event);
  stroke(at, at, isErasing());
  board.focus({ preventScroll: true });
  event.preventDefault();
});
canvas.addEventListener('pointermove', (event) => {
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  const to = pointOf(event);
  stroke(at, to, isErasing());
  at = to;
});
for (const name of ['pointerup', 'pointercancel', 'blur']) board.addEventListener(name, tell);

/** @type {Readonly<Record<string, readonly [number, number]>>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

board.addEventListener('keydown', (event) => {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const step = (event.shiftKey ? 0.1 : 0.02) * Math.max(canvas.width, canvas.height);
    at = {
      x: Math.min(canvas.width, Math.max(0, at.x + step * arrow[0])),
      y: Math.min(canvas.height, Math.max(0, at.y + step * arrow[1])),
    };
  } else if (event.key === ' ') stroke(at, at, false);
  else if (event.key === 'x' || event.key === 'X') stroke(at, at, true);
  else if (event.key === '+' || event.key === '-')
    find('brush').value = String(Number(find('brush').value) + (event.key === '+' ? 2 : -2));
  else return;
  event.preventDefault();
  showCursor(true);
  tell();
});
board.addEventListener('focus', () => showCursor(board.matches(':focus-visible')));
board.addEventListener('blur', () => showCursor(false));

/** Where keys paint. @param {boolean} isSeen */
function showCursor(isSeen) {
  cursor.hidden = !isSeen;
  const share = (/** @type {number} */ part, /** @type {number} */ whole) => `${(100 * part) / whole}%`;
  cursor.style.left = share(at.x, canvas.width);
  cursor.style.top = share(at.y, canvas.height);
  cursor.style.width = share(2 * radius(), canvas.width);
  cursor.style.height = share(2 * radius(), canvas.height);
}

/** Says how much is painted, for who does not see it. */
function tell() {
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) if (/** @type {number} */ (data[i]) > 127) painted++;
  const percent = Math.round((100 * painted) / (canvas.width * canvas.height));
  const [x, y] = [Math.round((100 * at.x) / canvas.width), Math.round((100 * at.y) / canvas.height)];
  find('painted').textContent = `${percent} % is painted; at ${x} % across, ${y} % down`;
  return painted;
}

/** @param {string | undefined} url of a picture; undefined: none */
export async function startFrom(url) {
  source = url;
  find('paint').hidden = url === undefined;
  find('start').toggleAttribute('open', url !== undefined);
  if (url === undefined) {
    find('image').value = '';
    picture.removeAttribute('src');
    return;
  }
  picture.src = url;
  await picture.decode();
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  at = { x: canvas.width / 2, y: canvas.height / 2 };
  showCursor(false);
}

/** Paints a mask, white where it is painted. @param {string} url */
export async function paintMask(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  turn((white) => (white > 127 ? 255 : 0), 0);
}

/**
 * Every pixel anew.
 *
 * @param {(value: number) => number} alpha
 * @param {number} channel that it is made of
 */
function turn(alpha, channel) {
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4)
    data.set([255, 60, 60, alpha(/** @type {number} */ (data[i + channel]))], i);
  context.putImageData(pixels, 0, 0);
}

/** What is painted, white on black, as a `data:` URL; undefined where nothing is. */
function maskOf() {
  if (tell() === 0) return undefined;
  const mask = document.createElement('canvas');
  mask.width = canvas.width;
  mask.height = canvas.height;
  const drawn = /** @type {CanvasRenderingContext2D} */ (mask.getContext('2d'));
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const white = /** @type {number} */ (data[i + 3]) > 127 ? 255 : 0;
    data.set([white, white, white, 255], i);
  }
  drawn.putImageData(pixels, 0, 0);
  return mask.toDataURL('image/png');
}

/** What the form says of it, in the words of the API. */
export function startOf() {
  if (source === undefined) return {};
  const maskImage = maskOf();
  const { value: strength } = find('strength');
  const { value: blur } = find('maskBlur');
  return {
    image: source,
    ...(strength !== '' && { strength: Number(strength) }),
    ...(maskImage && { maskImage, keepOriginal: find('keepOriginal').checked }),
    ...(maskImage && blur !== '' && { maskBlur: Number(blur) }),
  };
}

find('image').onchange = async () => {
  const [file] = find('image').files ?? [];
  if (file) await startFrom(await asUrl(file));
};
find('no-image').onclick = () => void startFrom(undefined);
find('clear').onclick = () => {
  context.clearRect(0, 0, canvas.width, canvas.height);
  tell();
};
find('invert').onclick = () => {
  turn((value) => (value > 127 ? 0 : 255), 3);
  tell();
};
find('erase').onclick = () => find('erase').setAttribute('aria-pressed', String(!isErasing()));
find('brush').oninput = () => showCursor(document.activeElement === board);
