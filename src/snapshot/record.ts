// record.ts: what a record of the `key` bucket says, read in place: a snapshot has millions of
// them, and a view of each key would cost more than all the rest.
import { KeyValue } from '../api/gen/kv.js'

/** Where in the bytes of a record its user key stands. */
export interface KeySpan {
  start: number
  end: number
}

const keyTag = 0x0a

/**
 * Finds the user key of the record in `bytes` from `start` to `end`; undefined when it does not
 * decode. The key is the first field that etcd writes, so the value is not looked at.
 */
export function userKey(bytes: Buffer, start: number, end: number): KeySpan | undefined {
  // The marker of a bumped revision has no bytes at all and so the empty key.
  if (start === end) return { start, end }
  const keyStart = start + 2
  const keyEnd = keyStart + (bytes[start + 1] ?? 0)
  const isShort = (bytes[start + 1] ?? 0) < 0x80
  if (bytes[start] === keyTag && isShort && keyEnd <= end) return { start: keyStart, end: keyEnd }
  const key = decodeRecord(bytes.subarray(start, end))?.key
  // The decoded key is a view of the same memory; an absent one is not, but it is empty.
  if (key === undefined || key.length === 0) return key && { start, end: start }
  const decodedStart = key.byteOffset - bytes.byteOffset
  return { start: decodedStart, end: decodedStart + key.length }
}

export function decodeRecord(value: Buffer): KeyValue | undefined {
  try {
    return KeyValue.decode(value)
  } catch {
    return undefined
  }
}
