// crc32c.ts: the Castagnoli checksum that etcd's log, its .snap files and HashKV use. Reflected
// polynomial 0x82f63b78, all ones before and after. Sixteen bytes are taken in a step ("slicing"):
// the table for slice k holds the effect of a byte that has k more bytes behind it in the step. All
// slices stand in one array, 256 entries each: one array to look in is what makes it fast. Longer
// data is summed by crc32c-wasm.ts, from the same tables.
import { newSumming, type Summing } from './crc32c-wasm.js'

const polynomial = 0x82f63b78
const slices = 16
const table = buildTable()

/** Below this, copying the data to where WebAssembly can see it costs more than it saves. */
const summingSizeMin = 512
/** What is copied at a time: small enough to stay in a cache next to the tables. */
const summingSizeMax = 64 * 1024
const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
let summing: Summing | undefined

/**
 * Checksum of `data`. With `chained`, the result for what came before, continues it:
 * crc32c(a‖b) = crc32c(b, crc32c(a)).
 */
export function crc32c(data: Uint8Array, chained = 0): number {
  const { length } = data
  if (length < summingSizeMin || !isLittleEndian) {
    return ~bytewise(~chained, data, 0, length) >>> 0
  }
  summing ??= newSumming(table, summingSizeMax)
  const { memory, sum } = summing
  const end = length - (length % slices)
  let crc = ~chained
  for (let at = 0; at < end; at += summingSizeMax) {
    const piece = data.subarray(at, Math.min(at + summingSizeMax, end))
    memory.set(piece, table.byteLength)
    crc = sum(crc, table.byteLength, table.byteLength + piece.length)
  }
  return ~bytewise(crc, data, end, length) >>> 0
}

function bytewise(before: number, data: Uint8Array, from: number, end: number): number {
  let crc = before
  let at = from
  for (; at + slices <= end; at += slices) {
    crc =
      of(15, (crc ^ byte(data, at)) & 0xff) ^
      of(14, ((crc >>> 8) ^ byte(data, at + 1)) & 0xff) ^
      of(13, ((crc >>> 16) ^ byte(data, at + 2)) & 0xff) ^
      of(12, (crc >>> 24) ^ byte(data, at + 3)) ^
      of(11, byte(data, at + 4)) ^
      of(10, byte(data, at + 5)) ^
      of(9, byte(data, at + 6)) ^
      of(8, byte(data, at + 7)) ^
      of(7, byte(data, at + 8)) ^
      of(6, byte(data, at + 9)) ^
      of(5, byte(data, at + 10)) ^
      of(4, byte(data, at + 11)) ^
      of(3, byte(data, at + 12)) ^
      of(2, byte(data, at + 13)) ^
      of(1, byte(data, at + 14)) ^
      of(0, byte(data, at + 15))
  }
  for (; at < end; at++) crc = of(0, (crc ^ byte(data, at)) & 0xff) ^ (crc >>> 8)
  return crc
}

// The two lookups are inside by construction; the type system cannot know that.
function of(slice: number, value: number): number {
  return table[slice * 256 + value] as number
}

function byte(data: Uint8Array, at: number): number {
  return data[at] as number
}

function buildTable(): Int32Array {
  const all = new Int32Array(slices * 256)
  for (let value = 0; value < 256; value++) {
    let crc = value
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    all[value] = crc
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256] as number
    all[at] = (before >>> 8) ^ (all[before & 0xff] as number)
  }
  return all
}
