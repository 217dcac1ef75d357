// The machine code in what nvcc makes: cubins are ELF files, alone or (uncompressed) inside an object of the host.

const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const CUDA = 190; // e_machine

/**
 * [{name, code, registers, static}] of the kernels of all cubins in a file's bytes, with their architecture (90 for
 * sm_90a); static: bytes of shared memory.
 */
export function kernelsIn(bytes) {
  const found = [];
  for (let at = bytes.indexOf(ELF); at >= 0; at = bytes.indexOf(ELF, at + 1))
    if (bytes.readUInt16LE(at + 18) === CUDA) found.push(...kernelsOf(bytes.subarray(at)));
  return found;
}

function kernelsOf(elf) {
  const architecture = (elf.readUInt32LE(48) >> 8) & 0xff;
  const sections = sectionsOf(elf);
  const registers = registersBySymbol(sections.find(({ name }) => name === '.nv.info').data);
  const reserved = architecture >= 90 ? 1024 : 0; // bytes of the system, in every block's section
  const shared = new Map(sections.map(({ name, size }) => [name, size]));
  return sections
    .filter(({ name, data }) => name.startsWith('.text.') && data.length > 0)
    .map(({ name, data, info }) => ({
      name: name.slice('.text.'.length),
      architecture,
      registers: registers.get(info & 0xffffff), // the kernel's symbol
      static: Math.max(0, (shared.get(name.replace('.text.', '.nv.shared.')) ?? 0) - reserved),
      code: data,
    }));
}

/** From the attributes of all kernels, a list of records: format, key, and for format 4 a size and as many bytes. */
function registersBySymbol(attributes) {
  const SIZED = 4;
  const REGISTERS = 0x2f;
  const out = new Map();
  for (let at = 0; at < attributes.length; ) {
    const [format, key] = attributes.subarray(at, at + 2);
    if (format === SIZED && key === REGISTERS)
      out.set(attributes.readUInt32LE(at + 4), attributes.readUInt32LE(at + 8));
    at += 4 + (format === SIZED ? attributes.readUInt16LE(at + 2) : 0);
  }
  return out;
}

function sectionsOf(elf) {
  const first = Number(elf.readBigUInt64LE(40));
  const [entry, count, names] = [58, 60, 62].map((at) => elf.readUInt16LE(at));
  const headers = Array.from({ length: count }, (_, i) => {
    const header = elf.subarray(first + i * entry, first + (i + 1) * entry);
    const [offset, size] = [24, 32].map((at) => Number(header.readBigUInt64LE(at)));
    return {
      nameAt: header.readUInt32LE(0),
      data: elf.subarray(offset, offset + size),
      size,
      info: header.readUInt32LE(44),
    };
  });
  const strings = headers[names].data;
  return headers.map(({ nameAt, data, size, info }) => ({
    name: strings.toString('latin1', nameAt, strings.indexOf(0, nameAt)),
    data,
    size,
    info,
  }));
}
