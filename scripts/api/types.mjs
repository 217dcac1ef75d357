// The declarations of a staged package as its users compile them: without skipLibCheck, and with the type tests.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMMON = {
  ...{ module: 'nodenext', target: 'es2022', lib: ['es2022', 'esnext.disposable'], types: ['node'] },
  ...{ noEmit: true, strict: true, skipLibCheck: false },
};

/** Compilers' options that people have, and under which types mean something else. */
const SETTINGS = {
  strict: {},
  strictest: { noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
};

/** What the compiler finds: texts. `folder` becomes a project with the package and the tests of test/types. */
export function checkTypes(root, stage, folder) {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(stage, join(folder, 'node_modules/deepcache'));
  symlinkSync(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  cpSync(join(root, 'test/types'), join(folder, 'types'), { recursive: true });
  return Object.entries(SETTINGS).flatMap(([name, own]) => {
    const config = join(folder, `tsconfig.${name}.json`);
    writeFileSync(config, JSON.stringify({ compilerOptions: { ...COMMON, ...own }, include: ['types'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', config], {
      cwd: folder,
      encoding: 'utf8',
    });
    return status === 0 ? [] : [`types (${name}):\n${stdout}`];
  });
}
