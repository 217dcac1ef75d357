// test/launches/kernels.tsv: registers and static shared memory of every kernel on the architectures of the GPUs that
// `npm run test:launches` plays. That test needs no nvcc; this script does, to make and to check the file:
//
//   node scripts/kernels/recorded.mjs --renew [KERNELS.cu...]   assembles these, or all (minutes), and writes the file
//   node scripts/kernels/recorded.mjs --compare FILE...         objects or libraries of a build that is no release: fails
//                                                               when a kernel is not recorded or has other static shared
//                                                               memory, and says where registers differ
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { assemble, kernelFiles } from './assemble.mjs';
import { kernelsIn } from './cubin.mjs';
import { demangle, shorten } from './names.mjs';
import { ARCHITECTURES, recorded, write } from './record.mjs';

/** What is recorded of kernels that are not among the rows, whatever their template arguments. */
function others(rows) {
  const template = (name) => name.replace(/<.*/, '');
  const renewed = new Set(rows.map(({ kernel }) => template(kernel)));
  return Object.entries(recorded()).filter(([name]) => !renewed.has(template(name)));
}

function renew(files) {
  const rows = [];
  for (const [file, architectures] of kernelFiles(ARCHITECTURES)) {
    if (files.length > 0 && !files.includes(file)) continue;
    console.log(file);
    rows.push(...assemble(file, architectures));
    write(rows, files.length > 0 ? others(rows) : []);
  }
}

/** The number of kernels that are wrong in the file. */
function compare(files) {
  const kernels = files.flatMap((file) => kernelsIn(readFileSync(file)));
  if (kernels.length === 0) throw new Error('no kernel in these files: is their device code compressed?');
  const names = demangle(kernels.map(({ name }) => name)).map(shorten);
  const known = recorded();
  const wrong = [];
  const other = [];
  for (const [i, { architecture, registers, static: bytes }] of kernels.entries()) {
    const code = architecture === 90 ? '90a' : String(architecture);
    const of = known[names[i]];
    const where = `${names[i]} on sm_${code}`;
    const [then, thenStatic] = of?.[code] ?? [registers, bytes];
    if (!of) wrong.push(`${where} is not recorded`);
    else if (thenStatic !== bytes)
      wrong.push(`${where}: ${bytes} bytes of static shared memory, ${thenStatic} recorded`);
    else if (then !== registers) other.push(`${where}: ${registers} registers, ${then} recorded`);
  }
  for (const line of [...wrong, ...other]) console.log(line);
  console.log(`${kernels.length} kernels, ${wrong.length} wrong, ${other.length} with other registers`);
  if (wrong.length > 0) console.log('renew the file: node scripts/kernels/recorded.mjs --renew');
  return wrong.length;
}

const { values, positionals: files } = parseArgs({
  options: { renew: { type: 'boolean' }, compare: { type: 'boolean' } },
  allowPositionals: true,
});
if (values.renew === values.compare) {
  console.error('recorded.mjs: one of --renew and --compare is needed');
  process.exitCode = 2;
} else if (values.renew) {
  renew(files);
} else if (compare(files) > 0) {
  process.exitCode = 1;
}
