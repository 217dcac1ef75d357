import { readEmbeddingFile } from '../../embeddings/embedding-file.js';
import { DeepCacheError, invalidArgument, messageOf } from '../../errors.js';
import { statOf } from '../../files/read.js';
import { show } from '../../messages.js';
import { factorOf, readArchitecture } from '../../upscale/architecture.js';
import { openWeights } from '../../weights/open.js';
import type { EngineNetworks } from './networks.js';

/**
 * Looks at the files of networks, as far as can be done without a model.
 *
 * @returns how many times the upscalers enlarge.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the network: a file that is not there, or is none.
 */
export async function lookAtFiles(networks: EngineNetworks): Promise<ReadonlyMap<string, number>> {
  const { loras = {}, controlNets = {}, t2iAdapters = {}, ipAdapters = {} } = networks;
  const { upscalers = {}, embeddings = {} } = networks;
  const scales = new Map<string, number>();
  const each = async (
    kind: string,
    files: object,
    look: (file: string, name: string) => Promise<unknown>,
  ) => {
    for (const [name, given] of Object.entries(files)) {
      const file = typeof given === 'string' ? given : (given as { file: string }).file;
      try {
        await look(file, name);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        throw invalidArgument(kind, `${show(name)} cannot be used: ${messageOf(error)}`, { cause: error });
      }
    }
  };
  const isThere = async (file: string) => {
    if (!statOf(file)) throw new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${file} is not there`);
  };
  await each('loras', loras, isThere);
  await each('controlNets', controlNets, isThere);
  await each('t2iAdapters', t2iAdapters, isThere);
  await each('ipAdapters', ipAdapters, async (file, name) => {
    await isThere(file);
    const { imageEncoder } = ipAdapters[name] as { imageEncoder?: string };
    if (imageEncoder !== undefined) await isThere(imageEncoder);
  });
  await each('embeddings', embeddings, (file) => readEmbeddingFile(file));
  await each('upscalers', upscalers, async (file, name) => {
    const { tensors } = await openWeights(file, {});
    scales.set(name, factorOf(readArchitecture(file, tensors)));
  });
  return scales;
}
