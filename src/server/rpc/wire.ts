// wire.ts: answers of the hot calls, put together by hand. The store keeps each pair as encoded
// mvccpb.KeyValue; an answer is those bytes with a few tags between them, so a range of a
// thousand keys costs one allocation and a thousand copies, and no message objects.
// Field numbers are those of proto/rpc.proto; fields stand in ascending order, zeros are left out.
import { KeyValue } from '../../api/gen/kv.js'
import type { Stored } from '../../mvcc/key-index.js'
import { varintSize, writeVarint } from '../../mvcc/key-value.js'

/** An encoded message that copies itself into an answer: a stored pair, or bytes() of one. */
export interface Encoded {
  readonly size: number
  /** Returns the offset behind the copy. */
  copyTo(target: Buffer, at: number): number
}

export function encodedBytes(bytes: Uint8Array): Encoded {
  return {
    size: bytes.length,
    copyTo(target, at) {
      target.set(bytes, at)
      return at + bytes.length
    },
  }
}

/** Size of a length-delimited field with a one-byte tag. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length
}

/** Writes a length-delimited field with a one-byte tag; returns the offset behind it. */
export function writeField(into: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  into[at] = tag
  const start = writeVarint(into, at + 1, bytes.length)
  into.set(bytes, start)
  return start + bytes.length
}

function writeEncoded(into: Buffer, at: number, tag: number, message: Encoded): number {
  into[at] = tag
  return message.copyTo(into, writeVarint(into, at + 1, message.size))
}

/** Writes a varint field with a one-byte tag unless it is zero; returns the offset behind it. */
export function writeNumber(into: Buffer, at: number, tag: number, value: number): number {
  if (value === 0) return at
  into[at] = tag
  return writeVarint(into, at + 1, value)
}

/** Size of a varint field with a one-byte tag; 0 for zero, which is left out. */
export function numberSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value)
}

/** A Range answer's content, ready to be encoded. */
export interface RangeAnswer {
  /** Encoded KeyValue messages, in answer order. */
  kvs: readonly Encoded[]
  more: boolean
  count: number
}

/** RangeResponse{1 header, 2 kvs, 3 more, 4 count}; a chunk of a stream may have no header. */
export function rangeResponse(header: Uint8Array | undefined, answer: RangeAnswer): Buffer {
  const { kvs, more, count } = answer
  let size = (header ? fieldSize(header.length) : 0) + (more ? 2 : 0) + numberSize(count)
  for (const kv of kvs) size += fieldSize(kv.size)
  const out = Buffer.allocUnsafe(size)
  let at = header ? writeField(out, 0, 0x0a, header) : 0
  for (const kv of kvs) at = writeEncoded(out, at, 0x12, kv)
  at = writeNumber(out, at, 0x18, more ? 1 : 0)
  writeNumber(out, at, 0x20, count)
  return out
}

/** PutResponse{1 header, 2 prev_kv}. */
export function putResponse(header: Uint8Array, prev: Encoded | undefined): Buffer {
  const size = fieldSize(header.length) + (prev ? fieldSize(prev.size) : 0)
  const out = Buffer.allocUnsafe(size)
  const at = writeField(out, 0, 0x0a, header)
  if (prev) writeEncoded(out, at, 0x12, prev)
  return out
}

/** DeleteRangeResponse{1 header, 2 deleted, 3 prev_kvs}. */
export function deleteRangeResponse(
  header: Uint8Array,
  deleted: number,
  prevs: readonly Encoded[],
): Buffer {
  let size = fieldSize(header.length) + numberSize(deleted)
  for (const prev of prevs) size += fieldSize(prev.size)
  const out = Buffer.allocUnsafe(size)
  let at = writeField(out, 0, 0x0a, header)
  at = writeNumber(out, at, 0x10, deleted)
  for (const prev of prevs) at = writeEncoded(out, at, 0x1a, prev)
  return out
}

/** A pair without its value and, as 3.7 answers keys_only, without its lease. */
export function keyOnly(stored: Stored): Encoded {
  const pair = KeyValue.encode({
    key: stored.key,
    create_revision: String(stored.createRevision),
    mod_revision: String(stored.main),
    version: String(stored.version),
    value: Buffer.alloc(0),
    lease: '0',
  })
  return encodedBytes(pair.finish())
}
