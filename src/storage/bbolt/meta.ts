// meta.ts: the two meta pages at the head of the file, which say where everything else begins. The
// valid one with the higher transaction id counts. A file made for a snapshot numbers them 2 and 1
// whatever their page, so the page number says nothing.
//
//     16 magic u32     20 version u32   24 page size u32      28 flags u32
//     32 root u64      40 sequence u64  48 freelist page u64  56 high-water mark u64
//     64 txid u64      72 FNV-1a 64 of the bytes from 16 to 72
import {
  pageFlag,
  pageHeaderSize,
  pageSizeMax,
  pageSizeMin,
  readId,
  writeId,
  writePageHeader,
} from './page.js'

export interface Meta {
  pageSizeBytes: number
  /** Page of the root bucket. Invariant: 2 <= root < highWaterMark. */
  root: number
  /** Page of the persisted freelist; undefined when it is not persisted. */
  freelist: number | undefined
  /** First page id never used; the logical size in pages. */
  highWaterMark: number
  txid: bigint
}

/** Bytes from the start of the page that a meta takes. */
export const metaSize = 80
const magic = 0xed0cdaed
const swappedMagic = 0xedda0ced
const version = 2
const checksumOffset = 72
const noFreelist = 0xffffffffffffffffn

/** Writes page `id`, 0 or 1, into `page`, whose other bytes are zero. */
export function writeMeta(page: Buffer, id: number, meta: Meta): void {
  writePageHeader(page, { id, flags: pageFlag.meta, count: 0, overflow: 0 })
  page.writeUInt32LE(magic, 16)
  page.writeUInt32LE(version, 20)
  page.writeUInt32LE(meta.pageSizeBytes, 24)
  writeId(page, meta.root, 32)
  page.writeBigUInt64LE(meta.freelist === undefined ? noFreelist : BigInt(meta.freelist), 48)
  writeId(page, meta.highWaterMark, 56)
  page.writeBigUInt64LE(meta.txid, 64)
  page.writeBigUInt64LE(fnv1a64(page.subarray(pageHeaderSize, checksumOffset)), checksumOffset)
}

export type MetaReading =
  | { meta: Meta }
  /** Why the bytes are no meta; `offset` counts from the start of the page. */
  | { offset: number; expected: string; found: string }

/** Reads a meta from the first `metaSize` bytes of a page. */
export function readMeta(page: Buffer): MetaReading {
  const foundMagic = page.readUInt32LE(16)
  if (foundMagic === swappedMagic) {
    return {
      offset: 16,
      expected: 'a little-endian database',
      found: 'a database written on a big-endian machine',
    }
  }
  if (foundMagic !== magic) return wrong(16, hex(magic, 8), hex(foundMagic, 8), 'magic')
  const foundVersion = page.readUInt32LE(20)
  if (foundVersion !== version) return wrong(20, `${version}`, `${foundVersion}`, 'version')
  const sum = page.readBigUInt64LE(checksumOffset)
  const expected = fnv1a64(page.subarray(pageHeaderSize, checksumOffset))
  if (sum !== expected) return wrong(72, hex(expected, 16), hex(sum, 16), 'meta checksum')
  const pageSizeBytes = page.readUInt32LE(24)
  if (!isPageSize(pageSizeBytes)) {
    return wrong(24, 'a power of two from 1024 to 65536', `${pageSizeBytes}`, 'page size')
  }
  const freelist = page.readBigUInt64LE(48)
  return {
    meta: {
      pageSizeBytes,
      root: readId(page, 32),
      freelist: freelist === noFreelist ? undefined : readId(page, 48),
      highWaterMark: readId(page, 56),
      txid: page.readBigUInt64LE(64),
    },
  }
}

export function isPageSize(size: number): boolean {
  return size >= pageSizeMin && size <= pageSizeMax && (size & (size - 1)) === 0
}

function wrong(offset: number, expected: string, found: string, what: string): MetaReading {
  return { offset, expected: `${what} ${expected}`, found }
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

function fnv1a64(data: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of data) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}
