/** Pipelines that take the same options, and what messages and tables call them. */
export const FAMILIES = {
  text2img: 'text to image',
  img2img: 'image to image',
  inpaint: 'inpainting',
  pix2pix: 'InstructPix2Pix',
  depth2img: 'depth to image',
  x4: 'the x4 upscaler',
  xl: 'SDXL text to image',
  'xl-img2img': 'SDXL image to image',
  'xl-inpaint': 'SDXL inpainting',
  svd: 'Stable Video Diffusion',
  zero: 'Text2Video-Zero',
  animatediff: 'AnimateDiff',
  ddpm: 'DDPM',
  ldm: 'class-conditional models',
  load: 'loading',
} as const;

export type Family = keyof typeof FAMILIES;

// Groups of families, from the smallest to all that generate.
export const SD = ['text2img', 'img2img', 'inpaint', 'pix2pix', 'depth2img'] as const;
export const XL = ['xl', 'xl-img2img', 'xl-inpaint'] as const;
export const FROM_IMAGE = ['img2img', 'xl-img2img'] as const;
export const INPAINT = ['inpaint', 'xl-inpaint'] as const;
/** Pictures whose latents have an eighth of their size: what networks beside the U-Net see is made for that. */
export const BESIDE = [...SD, ...XL] as const;
/** Pictures from text by way of latents. */
export const LATENT = [...BESIDE, 'x4'] as const;
/** Those whose U-Net has two outputs, for the prompt and for the negative one, with self attention in every transformer. */
export const GUIDED = ['text2img', 'img2img', 'inpaint', 'depth2img', ...XL] as const;
/** LATENT, and videos that are made alike: from several prompts at once, in one loop. */
export const PROMPTED = [...LATENT, 'animatediff'] as const;
export const TEXT = [...PROMPTED, 'zero'] as const;
export const SAMPLING = ['ddpm', 'ldm'] as const;
/** All but loading. */
export const ALL = [...TEXT, 'svd', ...SAMPLING] as const;

/** Families by name, where a group that is taken as a whole is named in one: for messages and tables. */
export function familyNames(families: readonly Family[]): string[] {
  const groups: [string, readonly Family[]][] = [
    ['all', ALL],
    ['models of text', TEXT],
    ['Stable Diffusion, SDXL and AnimateDiff', PROMPTED],
    ['Stable Diffusion and SDXL', LATENT],
    ['Stable Diffusion (not the x4 upscaler) and SDXL', BESIDE],
    ['Stable Diffusion (neither InstructPix2Pix nor the x4 upscaler) and SDXL', GUIDED],
    ['SDXL', XL],
    ['image to image', FROM_IMAGE],
    ['inpainting', INPAINT],
  ];
  let rest = families.filter((family) => family !== 'load');
  const names: string[] = [];
  for (const [name, group] of groups) {
    if (!group.every((family) => rest.some((one) => one === family))) continue;
    names.push(name);
    rest = rest.filter((family) => !group.includes(family));
  }
  return [...names, ...rest.map((family) => FAMILIES[family])];
}
