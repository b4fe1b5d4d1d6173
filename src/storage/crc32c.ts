// crc32c.ts: the Castagnoli checksum that etcd's log, its .snap files and HashKV use. Reflected
// polynomial 0x82f63b78, all ones before and after. Sixteen tables take sixteen bytes a step
// ("slicing"): table k holds the effect of a byte that has k more bytes behind it in the step.

const polynomial = 0x82f63b78
const slices = 16

const tables = buildTables()
const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = tables as Tables

/**
 * Checksum of `data`. With `chained`, the result for what came before, continues it:
 * crc32c(a‖b) = crc32c(b, crc32c(a)).
 */
export function crc32c(data: Uint8Array, chained = 0): number {
  const end = data.length
  const slicedEnd = end - (end % slices)
  let crc = ~chained
  let at = 0
  for (; at < slicedEnd; at += slices) crc = step(crc, data, at)
  for (; at < end; at++) crc = at8(t0, (crc ^ at8(data, at)) & 0xff) ^ (crc >>> 8)
  return ~crc >>> 0
}

function step(crc: number, data: Uint8Array, at: number): number {
  return (
    at8(t15, (crc ^ at8(data, at)) & 0xff) ^
    at8(t14, ((crc >>> 8) ^ at8(data, at + 1)) & 0xff) ^
    at8(t13, ((crc >>> 16) ^ at8(data, at + 2)) & 0xff) ^
    at8(t12, (crc >>> 24) ^ at8(data, at + 3)) ^
    at8(t11, at8(data, at + 4)) ^
    at8(t10, at8(data, at + 5)) ^
    at8(t9, at8(data, at + 6)) ^
    at8(t8, at8(data, at + 7)) ^
    at8(t7, at8(data, at + 8)) ^
    at8(t6, at8(data, at + 9)) ^
    at8(t5, at8(data, at + 10)) ^
    at8(t4, at8(data, at + 11)) ^
    at8(t3, at8(data, at + 12)) ^
    at8(t2, at8(data, at + 13)) ^
    at8(t1, at8(data, at + 14)) ^
    at8(t0, at8(data, at + 15))
  )
}

type Table = Int32Array
type Tables = [
  ...[Table, Table, Table, Table, Table, Table, Table, Table],
  ...[Table, Table, Table, Table, Table, Table, Table, Table],
]

/** The element at an index that is known to be inside; the type system cannot know. */
function at8(of: Table | Uint8Array, index: number): number {
  return of[index] as number
}

function buildTables(): Table[] {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    first[byte] = crc
  }
  const all = [first]
  for (let slice = 1; slice < slices; slice++) {
    const before = all[slice - 1] as Table
    all.push(before.map((crc) => (crc >>> 8) ^ at8(first, crc & 0xff)))
  }
  return all
}
