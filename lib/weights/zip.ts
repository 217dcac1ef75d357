import { invalidWeights } from '../errors.js';
import type { RandomAccessFile } from '../files/random-access.js';
import { show } from '../messages.js';

// Archives as torch.save writes them: entries are stored, not compressed, so that their values lie in the file as they
// are. Those of numpy.savez_compressed are deflated. Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3. The directory at the end alone is believed, and
// only where what it says about the entries agrees with their own headers.

/** An entry of an archive. */
export interface ZipEntry {
  readonly name: string;
  /** Where its bytes lie in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** Where it is deflated: its bytes when it is unpacked. */
  readonly unpacked?: number;
}

/** Which archives are read. */
interface ZipKind {
  /** Who writes them, for messages. */
  writer: string;
  /** Whether entries may be deflated. */
  deflated: boolean;
}

const TORCH: ZipKind = { writer: 'torch.save', deflated: false };

interface DirectoryEntry {
  name: string;
  /** Of its own header. */
  header: number;
  bytes: number;
  unpacked?: number;
}

const LARGEST_DIRECTORY = 2 ** 26;
const MOST_ENTRIES = 200_000;
const LONGEST_NAME = 1024;
/** Headers read at a time. */
const AT_ONCE = 8;
const END = 0x06054b50;
const END_BYTES = 22;
const END64 = 0x06064b50;
const END64_BYTES = 56;
const LOCATOR64 = 0x07064b50;
const LOCATOR64_BYTES = 20;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const IN_64 = 0xffffffff;
const DEFLATED = 8;

/**
 * The entries of an archive, by name.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for what is no archive, damaged, compressed in a way that is not
 * read or encrypted, and for entries that overlap.
 */
export async function readZip(file: RandomAccessFile, kind: ZipKind = TORCH): Promise<Map<string, ZipEntry>> {
  try {
    return await readEntries(file, kind);
  } catch (error) {
    if (error instanceof Unread) throw invalidWeights(file.path, error.message);
    if (!(error instanceof Damage)) throw error;
    throw invalidWeights(
      file.path,
      `${error.message}; it is truncated or damaged, or no archive of ${kind.writer}`,
    );
  }
}

async function readEntries(file: RandomAccessFile, kind: ZipKind): Promise<Map<string, ZipEntry>> {
  const { at, bytes, count } = await findDirectory(file);
  const directory = await file.read(at, bytes);
  const entries = new Map<string, DirectoryEntry>();
  let place = 0;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readEntry(directory, place, kind);
    if (entries.has(entry.name)) throw new Damage(`has two entries ${show(entry.name)}`);
    entries.set(entry.name, entry);
    place = next;
  }
  return locate(file, [...entries.values()], at);
}

async function findDirectory(file: RandomAccessFile): Promise<{ at: number; bytes: number; count: number }> {
  const { size } = file;
  const tailBytes = Math.min(size, END_BYTES + 0xffff);
  const tail = await file.read(size - tailBytes, tailBytes);
  let at = tailBytes - END_BYTES;
  // The comment behind it must end where the file does.
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === END && at + END_BYTES + tail.readUInt16LE(at + 20) === tailBytes)
  )
    at--;
  if (at < 0) throw new Damage('has no directory at its end');
  const here = size - tailBytes + at;
  const end = {
    disks: [tail.readUInt16LE(at + 4), tail.readUInt16LE(at + 6)],
    count: tail.readUInt16LE(at + 10),
    bytes: tail.readUInt32LE(at + 12),
    at: tail.readUInt32LE(at + 16),
    limit: here,
  };
  const wide = here >= LOCATOR64_BYTES ? await readEnd64(file, here - LOCATOR64_BYTES) : undefined;
  const found = wide ?? end;
  if (found.disks.some((disk) => disk !== 0)) throw new Damage('is one of several parts');
  if (found.count > MOST_ENTRIES || found.bytes > LARGEST_DIRECTORY) {
    throw new Damage(`has a directory of ${found.count} entries in ${found.bytes} bytes, which is too large`);
  }
  if (found.at + found.bytes > found.limit) throw new Damage('has a directory beyond its end');
  return found;
}

/** The same of archives beyond 4 GB, if there is its locator. */
async function readEnd64(file: RandomAccessFile, at: number) {
  const locator = await file.read(at, LOCATOR64_BYTES);
  if (locator.readUInt32LE(0) !== LOCATOR64) return undefined;
  const place = toNumber(locator, 8);
  if (place + END64_BYTES > at) throw new Damage('has a directory beyond its end');
  const end = await file.read(place, END64_BYTES);
  if (end.readUInt32LE(0) !== END64) throw new Damage('has no directory where it says');
  return {
    disks: [end.readUInt32LE(16), end.readUInt32LE(20)],
    count: toNumber(end, 32),
    bytes: toNumber(end, 40),
    at: toNumber(end, 48),
    limit: place,
  };
}

function readEntry(
  directory: Buffer,
  at: number,
  { writer, deflated }: ZipKind,
): { entry: DirectoryEntry; next: number } {
  if (at + CENTRAL_BYTES > directory.length || directory.readUInt32LE(at) !== CENTRAL) {
    throw new Damage('has a damaged directory');
  }
  const flags = directory.readUInt16LE(at + 8);
  const method = directory.readUInt16LE(at + 10);
  const nameEnd = at + CENTRAL_BYTES + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const next = extraEnd + directory.readUInt16LE(at + 32);
  if (next > directory.length) throw new Damage('has a damaged directory');
  if (nameEnd - at - CENTRAL_BYTES > LONGEST_NAME) throw new Damage('has an entry with a very long name');
  const name = directory.toString('utf8', at + CENTRAL_BYTES, nameEnd);
  const [bytes, stored, header] = wideFields(directory.subarray(nameEnd, extraEnd), [
    directory.readUInt32LE(at + 24),
    directory.readUInt32LE(at + 20),
    directory.readUInt32LE(at + 42),
  ]) as [number, number, number];
  if ((flags & 1) !== 0) throw new Damage(`has an encrypted entry ${show(name)}`);
  if (deflated && method === DEFLATED)
    return { entry: { name, header, bytes: stored, unpacked: bytes }, next };
  if (method !== 0 || stored !== bytes) {
    const advice = deflated
      ? ` in a way that ${writer} does not`
      : `; values are read where they lie, as ${writer} leaves them: pack it again without compression`;
    throw new Unread(`has a compressed entry ${show(name)}${advice}`);
  }
  return { entry: { name, header, bytes }, next };
}

/** Those of the fields that did not fit into 32 bits are in an extra field, in this order. */
function wideFields(extra: Buffer, fields: readonly number[]): number[] {
  if (!fields.includes(IN_64)) return [...fields];
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && end <= extra.length) {
      let place = at + 4;
      return fields.map((field) => {
        if (field !== IN_64) return field;
        place += 8;
        if (place > end) throw new Damage('has a damaged directory');
        return toNumber(extra, place - 8);
      });
    }
    at = end;
  }
  throw new Damage('has a damaged directory');
}

/** Entries with the places of their bytes, which their own headers tell. */
async function locate(
  file: RandomAccessFile,
  entries: DirectoryEntry[],
  limit: number,
): Promise<Map<string, ZipEntry>> {
  const found = new Map<string, ZipEntry>();
  entries.sort((a, b) => a.header - b.header);
  let end = 0;
  for (let i = 0; i < entries.length; i += AT_ONCE) {
    const some = entries.slice(i, i + AT_ONCE);
    const offsets = await Promise.all(some.map((entry) => valuesOffset(file, entry)));
    for (const [k, { name, header, bytes, unpacked }] of some.entries()) {
      const offset = offsets[k] as number;
      if (header < end) throw new Damage(`has an entry ${show(name)} that overlaps another`);
      end = offset + bytes;
      if (end > limit) throw new Damage(`has an entry ${show(name)} beyond its end`);
      found.set(name, { name, offset, bytes, ...(unpacked !== undefined && { unpacked }) });
    }
  }
  return found;
}

async function valuesOffset(file: RandomAccessFile, { name, header }: DirectoryEntry): Promise<number> {
  const nameBytes = Buffer.byteLength(name);
  const local = await file.read(header, LOCAL_BYTES + nameBytes);
  const isHere =
    local.readUInt32LE(0) === LOCAL &&
    local.readUInt16LE(26) === nameBytes &&
    local.toString('utf8', LOCAL_BYTES) === name;
  if (!isHere) throw new Damage(`has no entry ${show(name)} where it says`);
  return header + LOCAL_BYTES + nameBytes + local.readUInt16LE(28);
}

function toNumber(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Damage('has a damaged directory');
  return Number(value);
}

/** What is wrong with an archive, before its file is named. */
class Damage extends Error {}
/** What is right, but not read. */
class Unread extends Error {}
