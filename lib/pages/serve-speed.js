// How much faster a cache makes a picture, by the multiplications that the model needs less.
import { find } from './serve-dom.js';

/** @typedef {{ steps?: number, macs?: { full: number, cached: number }, presets: Record<string, number>, fewCalls: number }} Costs */

/** @type {Costs | undefined} */
let costs;

/** @param {Costs | undefined} given of the model that is chosen */
export function setCosts(given) {
  costs = given;
  showSpeed();
}

/** Shows it for what the form says. */
export function showSpeed() {
  const { value: preset } = find('cache');
  const calls = Number(find('steps').value) || costs?.steps || 50;
  const interval = costs?.presets[preset];
  let text = '';
  if (preset === '') text = 'Every step is computed in full.';
  else if (costs && calls <= costs.fewCalls) text = `With ${calls} steps every one is computed in full.`;
  else if (costs?.macs && interval) {
    const full = Math.ceil(calls / interval);
    const { full: each, cached } = costs.macs;
    const speed = (calls * each) / (full * each + (calls - full) * cached);
    text = `${full} of ${calls} steps in full: about ${speed.toFixed(1)} times as fast to denoise, by multiplications.`;
  }
  find('speed').textContent = text;
}

find('cache').addEventListener('input', showSpeed);
find('steps').addEventListener('input', showSpeed);
