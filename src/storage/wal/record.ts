// record.ts: one record of the log as bytes, both ways.
//
// A record is a protobuf message in a frame that starts and ends on a multiple of eight bytes:
//
//     offset 0   u64 LE  length word: bits 0-55 = n, bits 56-63 = 0, or 0x80 | pad
//     offset 8   n       08 TYPE  10 CRC  [1a LENGTH DATA]
//     8 + n      pad     zeros, (8 - n mod 8) mod 8 of them
//
// CRC is the running CRC-32C over the data of all records so far, this one included. Entries and
// states are encoded here by hand, straight into the buffer that goes to disk: every write to
// the store passes through. The bytes are those of etcd 3.4 to 3.6, which write each scalar even
// when it is zero and leave DATA out when it is empty.
import assert from 'node:assert/strict'
import type { ConfState, Entry, HardState } from '../../api/gen/raft.js'
import { Metadata, SnapshotRecord } from '../../api/gen/wal.js'
import { crc32c } from '../crc32c.js'

export const RecordType = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const

/** Whose log it is; stands at the head of every segment. */
export interface WalMetadata {
  nodeId: bigint
  clusterId: bigint
}

/** A snapshot that the log may be read from: the state after this entry is kept elsewhere. */
export interface SnapshotPosition {
  index: number
  term: number
}

export const frameHeadBytes = 8

/** Most bytes around the data of a record: length word, three tags, type, crc, length, padding. */
const frameRoomBytes = frameHeadBytes + 3 + 1 + 5 + 5 + 7

/** Most bytes of an entry before its data, or of a state: tags and varints of 64 bits. */
export const prefixRoomBytes = 64

/** Collects frames for one write. The running checksum goes on from frame to frame. */
export class FrameWriter {
  #buffer = Buffer.allocUnsafe(16 * 1024)
  #length = 0
  #crc: number
  readonly #prefix = Buffer.allocUnsafe(prefixRoomBytes)

  constructor(crc: number) {
    this.#crc = crc
  }

  /** Running checksum over all records written so far. */
  get crc(): number {
    return this.#crc
  }

  get length(): number {
    return this.#length
  }

  /** What was collected; a view that is good until the next change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Forgets what was collected. The running checksum stays, or returns to an earlier value. */
  clear(crc = this.#crc): void {
    this.#length = 0
    this.#crc = crc
    // One huge batch must not keep its memory for ever.
    if (this.#buffer.length > bufferKeptBytes) this.#buffer = Buffer.allocUnsafe(16 * 1024)
  }

  /** The record that opens a segment: carries the running value, adds nothing to it. */
  checksum(): void {
    this.#frame(RecordType.crc, emptyBuffer, emptyBuffer)
  }

  metadata({ nodeId, clusterId }: WalMetadata): void {
    const data = Metadata.encode({ NodeID: nodeId, ClusterID: clusterId }).finish()
    this.#frame(RecordType.metadata, data, emptyBuffer)
  }

  snapshot({ index, term, confState }: SnapshotPosition & { confState?: ConfState }): void {
    const data = SnapshotRecord.encode({ index, term, conf_state: confState }).finish()
    this.#frame(RecordType.snapshot, data, emptyBuffer)
  }

  entry(entry: Entry): void {
    const prefix = this.#prefix
    const length = writeEntryHead(prefix, 0, entry)
    this.#frame(RecordType.entry, prefix.subarray(0, length), entry.Data ?? emptyBuffer)
  }

  state({ term, vote, commit }: HardState): void {
    const prefix = this.#prefix
    let at = writeField(prefix, 0, 0x08, term)
    prefix[at++] = 0x10
    at = writeVarint64(prefix, at, vote)
    at = writeField(prefix, at, 0x18, commit)
    this.#frame(RecordType.state, prefix.subarray(0, at), emptyBuffer)
  }

  /** Adds a record whose data is `head` followed by `tail`, of which neither is kept. */
  #frame(type: number, head: Uint8Array, tail: Uint8Array): void {
    const size = head.length + tail.length
    this.#reserve(size + frameRoomBytes)
    const buffer = this.#buffer
    const start = this.#length
    if (size > 0) this.#crc = crc32c(tail, crc32c(head, this.#crc))
    let at = writeField(buffer, start + frameHeadBytes, 0x08, type)
    at = writeField(buffer, at, 0x10, this.#crc)
    if (size > 0) {
      at = writeField(buffer, at, 0x1a, size)
      buffer.set(head, at)
      buffer.set(tail, at + head.length)
      at += size
    }
    const n = at - start - frameHeadBytes
    const pad = (8 - (n % 8)) % 8
    buffer.fill(0, at, at + pad)
    buffer.writeUInt32LE(n, start)
    buffer.writeUInt32LE(pad === 0 ? 0 : ((0x80 | pad) << 24) >>> 0, start + 4)
    this.#length = at + pad
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** A buffer that grew beyond this is given back after the write it was needed for. */
const bufferKeptBytes = 4 * 1024 * 1024

const emptyBuffer = Buffer.alloc(0)

/** Writes all of an encoded entry that comes before its data; returns where that ends. */
export function writeEntryHead(buffer: Buffer, start: number, entry: Entry): number {
  const { Type, Term, Index, Data } = entry
  let at = writeField(buffer, start, 0x08, Type)
  at = writeField(buffer, at, 0x10, Term)
  at = writeField(buffer, at, 0x18, Index)
  const isEmpty = Data === undefined || Data.length === 0
  return isEmpty ? at : writeField(buffer, at, 0x22, Data.length)
}

function writeField(buffer: Buffer, at: number, tag: number, value: number): number {
  assert(value >= 0 && Number.isSafeInteger(value), `${value} does not fit a record`)
  let rest = value
  let next = at
  buffer[next++] = tag
  // Bit operations are for 32 bits only; indexes beyond that are rare, so they may divide.
  while (rest > 0x7fffffff) {
    buffer[next++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest > 0x7f) {
    buffer[next++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[next++] = rest
  return next
}

function writeVarint64(buffer: Buffer, at: number, value: bigint): number {
  let rest = BigInt.asUintN(64, value)
  let next = at
  while (rest > 0x7fn) {
    buffer[next++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  buffer[next++] = Number(rest)
  return next
}

export interface FrameHead {
  /** Bytes of the record itself. */
  recordBytes: number
  /** Bytes of zeros after it. */
  padBytes: number
}

/** Reads the length word at `at`; undefined where it is zero, which ends a segment's data. */
export function frameHead(buffer: Buffer, at: number): FrameHead | undefined {
  const low = buffer.readUInt32LE(at)
  const high = buffer.readUInt32LE(at + 4)
  if (low === 0 && high === 0) return undefined
  const top = high >>> 24
  return {
    recordBytes: low + (high & 0xffffff) * 2 ** 32,
    padBytes: (top & 0x80) === 0 ? 0 : top & 0x07,
  }
}

export interface LogRecord {
  type: number
  crc: number
  data: Buffer
}

/** Decodes the record in [start, end) of `buffer`; its data stays a view. Undefined: not one. */
export function decodeRecord(buffer: Buffer, start: number, end: number): LogRecord | undefined {
  const record: LogRecord = { type: 0, crc: 0, data: emptyBuffer }
  let at = start
  while (at < end) {
    const tag = readVarint(buffer, at, end)
    if (tag === undefined || tag.value < 8) return undefined
    const field = Math.floor(tag.value / 8)
    const wire = tag.value % 8
    const scalar = wire === 0 || wire === 2 ? readVarint(buffer, tag.next, end) : undefined
    const next = fieldEnd(wire, tag.next, scalar)
    if (next === undefined || next > end) return undefined
    if (field <= 3 && wire !== (field === 3 ? 2 : 0)) return undefined
    if (scalar !== undefined) {
      if (field === 1) record.type = scalar.value
      if (field === 2) record.crc = scalar.value
      if (field === 3) record.data = buffer.subarray(scalar.next, next)
    }
    at = next
  }
  return record
}

/** Where a field's value ends; undefined for a wire type that no message uses. */
function fieldEnd(wire: number, at: number, scalar: Varint | undefined): number | undefined {
  switch (wire) {
    case 0:
      return scalar?.next
    case 1:
      return at + 8
    case 2:
      return scalar && scalar.next + scalar.value
    case 5:
      return at + 4
    default:
      return undefined
  }
}

interface Varint {
  value: number
  next: number
}

function readVarint(buffer: Buffer, start: number, end: number): Varint | undefined {
  let value = 0
  let scale = 1
  for (let at = start; at < end && at < start + 10; at++) {
    const byte = buffer[at] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next: at + 1 }
    scale *= 128
  }
  return undefined
}
