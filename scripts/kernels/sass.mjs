// Machine code of NVIDIA GPUs from sm_70 on, as far as counting needs it: which instructions there are, where branches lead,
// and what the loops are. An instruction has 128 bits. The low 9 name it (the next 3 say where operands are); of a branch,
// bits 34 to 81 are its distance, to which sm_90 adds 8 lower ones, bits 16 to 23. Compared with nvdisasm 12.4's reading of
// kernels for sm_80 and sm_90a.

const INSTRUCTION = 16; // bytes
const NAMES = new Map([
  [0x03c, 'HMMA'],
  [0x106, 'I2F'],
  [0x108, 'MUFU'],
  [0x112, 'I2F'], // of 64 bits
  [0x118, 'NOP'],
  [0x144, 'CALL'],
  [0x147, 'BRA'],
  [0x14d, 'EXIT'],
  [0x150, 'RET'],
  [0x181, 'LDG'],
  [0x183, 'LDL'],
  [0x186, 'STG'],
  [0x187, 'STL'],
  [0x189, 'SHFL'],
  [0x1b4, 'UTMALDG'],
  [0x1b5, 'UTMASTG'],
  [0x1c5, 'WARPGROUP'],
  [0x1f0, 'HGMMA'],
  [0x1f3, 'QGMMA'],
]);

/** The instructions of a kernel's code: {name, target?}, targets as indices. Others than counting needs are '' by name. */
export function decode(code, architecture) {
  const out = [];
  for (let at = 0; at < code.length; at += INSTRUCTION) {
    const low = code.readBigUInt64LE(at);
    const high = code.readBigUInt64LE(at + 8);
    const instruction = { name: named(Number(low & 0x1ffn), high) };
    if (instruction.name === 'BRA') {
      let words = BigInt.asIntN(48, (low >> 34n) | (high << 30n));
      if (architecture >= 90) words = (words << 8n) | ((low >> 16n) & 0xffn);
      instruction.target = at / INSTRUCTION + 1 + (Number(words) * 4) / INSTRUCTION;
    }
    // Executed when a predicate says so: 7 is always.
    instruction.guarded = ((low >> 12n) & 0xfn) !== 7n;
    out.push(instruction);
  }
  while (out.at(-1)?.name === 'NOP' || isIdle(out.at(-1), out.length - 1)) out.pop();
  return out;
}

function named(opcode, high) {
  const name = NAMES.get(opcode) ?? '';
  const bits = (first, mask) => Number((high >> BigInt(first)) & mask);
  if (name === 'MUFU') return { 2: 'MUFU.EX2', 4: 'MUFU.RCP' }[bits(10, 0xfn)] ?? name;
  // Only the reciprocals of integer divisions are rounded up.
  if (name === 'I2F') return bits(14, 3n) === 2 ? 'I2F.RP' : name;
  if (name === 'WARPGROUP') return bits(16, 1n) ? `WAIT.${bits(8, 7n)}` : 'WARPGROUP.ARRIVE';
  return name;
}

/** Behind a kernel's end it branches to itself. */
function isIdle(instruction, index) {
  return instruction?.name === 'BRA' && !instruction.guarded && instruction.target === index;
}

/** Blocks without branches: {first, last, next: [block]}, last excluded. */
function blocksOf(instructions) {
  const starts = new Set([0]);
  instructions.forEach(({ name, target }, i) => {
    if (target !== undefined) starts.add(target);
    if (['BRA', 'EXIT', 'RET'].includes(name)) starts.add(i + 1);
  });
  const firsts = [...starts].filter((i) => i < instructions.length).sort((a, b) => a - b);
  const number = new Map(firsts.map((first, i) => [first, i]));
  return firsts.map((first, i) => {
    const last = firsts[i + 1] ?? instructions.length;
    const end = instructions[last - 1];
    const leaves = ['BRA', 'EXIT', 'RET'].includes(end.name) && !end.guarded;
    const next = [end.target, leaves ? undefined : last].map((at) => number.get(at));
    return { first, last, next: [...new Set(next.filter((block) => block !== undefined))] };
  });
}

/** For each block those that every way to it goes through, as sets; undefined for what nothing branches to. */
function dominators(blocks) {
  const before = blocks.map(() => []);
  blocks.forEach(({ next }, i) => {
    for (const j of next) before[j].push(i);
  });
  const out = blocks.map(() => undefined);
  out[0] = new Set([0]);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < blocks.length; i++) {
      const known = before[i].map((j) => out[j]).filter(Boolean);
      if (known.length === 0) continue;
      const common = new Set([...known[0]].filter((j) => known.every((set) => set.has(j))));
      common.add(i);
      if (out[i]?.size === common.size) continue;
      out[i] = common;
      changed = true;
    }
  }
  return { out, before };
}

/** The loops, each as the sorted indices of its instructions; inner loops' are part of the outer ones'. */
export function loopsOf(instructions) {
  const blocks = blocksOf(instructions);
  const { out: above, before } = dominators(blocks);
  const bodies = new Map(); // by the block that they begin with
  blocks.forEach(({ next }, i) => {
    for (const head of next) {
      if (!above[i]?.has(head)) continue;
      const body = bodies.get(head) ?? new Set([head]);
      bodies.set(head, body);
      for (const todo = [i]; todo.length > 0; ) {
        const block = todo.pop();
        if (body.has(block)) continue;
        body.add(block);
        todo.push(...before[block].filter((j) => above[j]));
      }
    }
  });
  return [...bodies.values()].map((body) =>
    [...body]
      .sort((a, b) => a - b)
      .flatMap((b) =>
        Array.from({ length: blocks[b].last - blocks[b].first }, (_, k) => blocks[b].first + k),
      ),
  );
}
