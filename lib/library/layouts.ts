/** What people keep for their pictures. */
export type LibraryKind = 'model' | 'lora' | 'embedding' | 'vae';

/** InvokeAI sorts by the models' kinds first. */
const BASES = ['any', 'sd-1', 'sd-2', 'sdxl', 'sdxl-refiner'];
const ofBases = (folder: string) => BASES.map((base) => `${base}/${folder}`);

/** Where things of a kind lie below a folder of models, which may be the program's own: AUTOMATIC1111's web UI and Forge, ComfyUI, InvokeAI. */
const BELOW_MODELS: Readonly<Record<LibraryKind, readonly string[]>> = {
  model: ['Stable-diffusion', 'checkpoints', 'diffusers', ...ofBases('main')],
  lora: ['Lora', 'LyCORIS', 'loras', ...ofBases('lora')],
  embedding: ['embeddings', ...ofBases('embedding')],
  vae: ['VAE', 'vae', ...ofBases('vae')],
};

/** Endings of the files of a kind, the best first where two have one name. */
export const ENDINGS: Readonly<Record<LibraryKind, readonly string[]>> = {
  model: ['.safetensors', '.ckpt'],
  lora: ['.safetensors', '.pt', '.bin', '.ckpt'],
  embedding: ['.safetensors', '.pt', '.bin'],
  vae: ['.safetensors', '.pt', '.ckpt', '.bin'],
};

/** The file by which a folder is one thing of a kind. */
export const INDEXES: Readonly<Partial<Record<LibraryKind, string>>> = {
  model: 'model_index.json',
  vae: 'config.json',
};

/** What it is called in messages. */
export const TITLES: Readonly<Record<LibraryKind, string>> = {
  model: 'model',
  lora: 'LoRA',
  embedding: 'embedding',
  vae: 'autoencoder',
};

export const KINDS = Object.keys(TITLES) as LibraryKind[];

/** Folders of a kind, from the folder that a user names. */
export function foldersOf(kind: LibraryKind): readonly string[] {
  return [...BELOW_MODELS[kind].map((folder) => `models/${folder}`), ...BELOW_MODELS[kind]];
}
