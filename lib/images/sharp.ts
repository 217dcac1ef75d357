import { imageError } from './errors.js';

/** On first use: all but images works where sharp's own binary does not load. */
export async function loadSharp() {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw imageError('sharp, which reads and writes images, does not load; try `npm install sharp`', cause);
  }
}
