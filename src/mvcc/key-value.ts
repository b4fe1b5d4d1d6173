// key-value.ts: mvccpb.KeyValue in its canonical form (fields in number order, zero fields left
// out), written by hand straight into a block. These are the bytes of the key bucket, of HashKV and
// of every answer, so that a value is encoded once, when it is put.
//
//     0a key  10 create_revision  18 mod_revision  20 version  2a value  30 lease
//
// A tombstone is stored with its key alone.

export interface KeyValueFields {
  readonly createRevision: number
  readonly mod: number
  readonly version: number
  readonly lease: bigint
}

const keyTag = 0x0a
const createTag = 0x10
const modTag = 0x18
const versionTag = 0x20
const valueTag = 0x2a
const leaseTag = 0x30
/** Up to this length a loop copies faster than a call into the engine. */
const loopCopyMax = 32

/** Bytes that an unsigned number takes as a varint; numbers are safe integers >= 0. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++
  return size
}

export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let offset = at
  let rest = value
  while (rest >= 128) {
    target[offset++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  target[offset++] = rest
  return offset
}

/** A number of 64 bits as a varint; a negative one is written as what it is unsigned. */
export function varint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(leaseSize(value))
  writeLease(bytes, 0, value)
  return bytes
}

function leaseSize(lease: bigint): number {
  let size = 1
  for (let rest = BigInt.asUintN(64, lease); rest >= 128n; rest >>= 7n) size++
  return size
}

function writeLease(target: Uint8Array, at: number, lease: bigint): number {
  let offset = at
  let rest = BigInt.asUintN(64, lease)
  for (; rest >= 128n; rest >>= 7n) target[offset++] = Number(rest & 127n) | 128
  target[offset++] = Number(rest)
  return offset
}

const numberFieldSize = (value: number): number => (value === 0 ? 0 : 1 + varintSize(value))
const bytesFieldSize = (size: number): number => (size === 0 ? 0 : 1 + varintSize(size) + size)

export function keyValueSize(keySize: number, valueSize: number, fields: KeyValueFields): number {
  return (
    bytesFieldSize(keySize) +
    numberFieldSize(fields.createRevision) +
    numberFieldSize(fields.mod) +
    numberFieldSize(fields.version) +
    bytesFieldSize(valueSize) +
    (fields.lease === 0n ? 0 : 1 + leaseSize(fields.lease))
  )
}

/** Writes what keyValueSize() measured; returns the offset behind it. */
export function writeKeyValue(
  target: Uint8Array,
  at: number,
  { key, value, fields }: { key: Uint8Array; value: Uint8Array; fields: KeyValueFields },
): number {
  let offset = writeBytes(target, at, keyTag, key)
  offset = writeNumber(target, offset, createTag, fields.createRevision)
  offset = writeNumber(target, offset, modTag, fields.mod)
  offset = writeNumber(target, offset, versionTag, fields.version)
  offset = writeBytes(target, offset, valueTag, value)
  if (fields.lease === 0n) return offset
  target[offset] = leaseTag
  return writeLease(target, offset + 1, fields.lease)
}

export const tombstoneSize = (keySize: number): number => bytesFieldSize(keySize)

export function writeTombstone(target: Uint8Array, at: number, key: Uint8Array): number {
  return writeBytes(target, at, keyTag, key)
}

/** Size of the kv of a DELETE event: key and mod_revision. */
export function deletedSize(keySize: number, mod: number): number {
  return bytesFieldSize(keySize) + numberFieldSize(mod)
}

export function writeDeleted(target: Uint8Array, at: number, key: Uint8Array, mod: number): number {
  return writeNumber(target, writeBytes(target, at, keyTag, key), modTag, mod)
}

/** Where the value stands in canonical bytes that begin at `at`: [start, end). Empty if absent. */
export function valueBounds(
  bytes: Uint8Array,
  at: number,
  { keySize, fields }: { keySize: number; fields: KeyValueFields },
): [start: number, end: number] {
  let offset = at + bytesFieldSize(keySize) + numberFieldSize(fields.createRevision)
  offset += numberFieldSize(fields.mod) + numberFieldSize(fields.version)
  if (bytes[offset] !== valueTag) return [offset, offset]
  let size = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[++offset] ?? 0
    size += (byte & 127) * scale
    if (byte < 128) break
  }
  return [offset + 1, offset + 1 + size]
}

/**
 * Reads a record of the key bucket. Only canonical bytes pass: what etcd and this store write, and
 * the one form of which HashKV has the same opinion everywhere.
 */
export function parseKeyValue(
  bytes: Buffer,
): { key: Buffer; value: Buffer; fields: KeyValueFields } | undefined {
  const reader: Reader = { bytes, offset: 0 }
  const key = readBytes(reader, keyTag)
  const createRevision = readNumber(reader, createTag)
  const mod = readNumber(reader, modTag)
  const version = readNumber(reader, versionTag)
  const value = readBytes(reader, valueTag)
  const lease = readLease(reader)
  const fields = { createRevision, mod, version, lease }
  // A number too large for its type, a wrong order, an explicit zero or a cut all change the size.
  if (![createRevision, mod, version].every(Number.isSafeInteger)) return undefined
  if (keyValueSize(key.length, value.length, fields) !== bytes.length) return undefined
  return reader.offset === bytes.length ? { key, value, fields } : undefined
}

interface Reader {
  readonly bytes: Buffer
  offset: number
}

function readNumber(reader: Reader, tag: number): number {
  if (reader.bytes[reader.offset] !== tag) return 0
  reader.offset++
  return readVarint(reader)
}

function readVarint(reader: Reader): number {
  let number = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.bytes[reader.offset++]
    if (byte === undefined) return Number.NaN
    number += (byte & 127) * scale
    if (byte < 128) return number
  }
}

function readBytes(reader: Reader, tag: number): Buffer {
  if (reader.bytes[reader.offset] !== tag) return reader.bytes.subarray(0, 0)
  reader.offset++
  const size = readVarint(reader)
  const start = reader.offset
  reader.offset = start + size
  return reader.bytes.subarray(start, reader.offset)
}

function readLease(reader: Reader): bigint {
  if (reader.bytes[reader.offset] !== leaseTag) return 0n
  reader.offset++
  let lease = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.bytes[reader.offset++] ?? 0
    lease |= BigInt(byte & 127) << shift
    if (byte < 128) break
  }
  return BigInt.asIntN(64, lease)
}

function writeNumber(target: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at
  target[at] = tag
  return writeVarint(target, at + 1, value)
}

function writeBytes(target: Uint8Array, at: number, tag: number, bytes: Uint8Array): number {
  const size = bytes.length
  if (size === 0) return at
  target[at] = tag
  const offset = writeVarint(target, at + 1, size)
  if (size > loopCopyMax) target.set(bytes, offset)
  else for (let i = 0; i < size; i++) target[offset + i] = bytes[i] as number // i < size
  return offset + size
}
