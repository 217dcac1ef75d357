export { relativeL2 } from './latents.js';
export { psnr } from './psnr.js';
export { ssim } from './ssim.js';
