// page.ts: the bytes of one page. A page block is one page or several in a row, with one header.
//
//     0        8      10     12        16               16 + 16 × count
//     id u64   flags  count  overflow  element records  keys and values, packed, in order
//
//     branch record   pos u32, key size u32, child page id u64
//     leaf record     flags u32, pos u32, key size u32, value size u32
//
// `pos` counts from the start of its own record to the key; in a leaf the value follows the key.
// All numbers are little-endian: no platform that etcd supports for this file writes others.
import assert from 'node:assert'

export const pageHeaderSize = 16
export const recordSize = 16
export const bucketHeaderSize = 16

export const pageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const

/** Flag of a leaf record whose value is a bucket. */
export const bucketFlag = 0x01

export const keySizeMax = 32768
export const valueSizeMax = 2 ** 31 - 2

/** The count field of a branch or leaf page stays below this. */
export const countEnd = 0xffff

export const pageSizeMin = 1024
export const pageSizeMax = 65536
export const defaultPageSize = 4096

export interface PageHeader {
  id: number
  flags: number
  count: number
  /** Further pages of the block. */
  overflow: number
}

export interface Item {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** A child page as its parent names it: by the first key in it. */
export interface Child {
  readonly key: Uint8Array
  readonly id: number
}

export function readPageHeader(data: Buffer, at = 0): PageHeader {
  return {
    id: readId(data, at),
    flags: data.readUInt16LE(at + 8),
    count: data.readUInt16LE(at + 10),
    overflow: data.readUInt32LE(at + 12),
  }
}

export function writePageHeader(page: Buffer, header: PageHeader): void {
  writeId(page, header.id, 0)
  page.writeUInt16LE(header.flags, 8)
  page.writeUInt16LE(header.count, 10)
  page.writeUInt32LE(header.overflow, 12)
}

/** A page id. Above 2^53 the number is not exact, but far out of any range that is allowed. */
export function readId(data: Buffer, at: number): number {
  return data.readUInt32LE(at + 4) * 2 ** 32 + data.readUInt32LE(at)
}

export function writeId(data: Buffer, id: number, at: number): void {
  data.writeUInt32LE(id >>> 0, at)
  data.writeUInt32LE(Math.floor(id / 2 ** 32), at + 4)
}

/** Writes the records and data of a leaf, and zeros to the end of `page`. The header is not its. */
export function writeLeafItems(page: Buffer, items: readonly Item[], flags: number): void {
  let record = pageHeaderSize
  let data = pageHeaderSize + recordSize * items.length
  for (const { key, value } of items) {
    page.writeUInt32LE(flags, record)
    page.writeUInt32LE(data - record, record + 4)
    page.writeUInt32LE(key.length, record + 8)
    page.writeUInt32LE(value.length, record + 12)
    page.set(key, data)
    page.set(value, data + key.length)
    record += recordSize
    data += key.length + value.length
  }
  assert(data <= page.length, `leaf data ends at ${data}, page at ${page.length}`)
  page.fill(0, data)
}

/** Writes the records and keys of a branch, and zeros to the end of `page`. */
export function writeBranchChildren(page: Buffer, children: readonly Child[]): void {
  let record = pageHeaderSize
  let data = pageHeaderSize + recordSize * children.length
  for (const { key, id } of children) {
    page.writeUInt32LE(data - record, record)
    page.writeUInt32LE(key.length, record + 4)
    writeId(page, id, record + 8)
    page.set(key, data)
    record += recordSize
    data += key.length
  }
  assert(data <= page.length, `branch data ends at ${data}, page at ${page.length}`)
  page.fill(0, data)
}
