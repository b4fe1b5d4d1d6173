// log-entry.ts: a request as the log has it: the client's message under the number of its kind,
// and behind it a header that says who waits and for whom it is done.
//
//     InternalRaftRequest{<field> message, 100 RequestHeader{1 ID, 2 username, 3 auth_revision}}
//
// The message goes in as it came, so that it is not encoded twice.
import { RequestHeader } from '../api/gen/raft_internal.js'
import type { Identity } from '../auth/token.js'
import { varintSize, writeVarint } from '../mvcc/key-value.js'

const headerField = 100
const lengthDelimited = 2

/** `message`: the encoded request that belongs to `field`. */
export function logEntry(
  { id, who }: { id: bigint; who: Identity | undefined },
  field: number,
  message: Uint8Array,
): Buffer {
  const header = who === undefined ? undefined : headerOf(id, who)
  const headerSize = header?.length ?? idHeaderSizeMax
  const size = delimitedSize(field, message.length) + delimitedSize(headerField, headerSize)
  const data = Buffer.allocUnsafe(size)
  const at = writeDelimited(data, 0, field, message)
  if (header === undefined) return data.subarray(0, writeIdHeader(data, at, id))
  writeDelimited(data, at, headerField, header)
  return data
}

function headerOf(id: bigint, who: Identity): Uint8Array {
  return RequestHeader.encode({
    ID: id.toString(),
    username: who.user,
    auth_revision: String(who.revision),
  }).finish()
}

/** Tag and varint of 64 bits. */
const idHeaderSizeMax = 11

/** By hand, because nearly every write has it; returns the offset behind it. */
function writeIdHeader(into: Buffer, start: number, id: bigint): number {
  const lengthAt = writeVarint(into, start, (headerField << 3) | lengthDelimited)
  into[lengthAt + 1] = 0x08
  // In halves: seven bits of a bigint cost as much as all of two numbers.
  let low = Number(id & 0xffff_ffffn)
  let high = Number(id >> 32n)
  let at = lengthAt + 2
  while (high !== 0 || low > 0x7f) {
    into[at++] = (low & 0x7f) | 0x80
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  into[at++] = low
  into[lengthAt] = at - lengthAt - 1
  return at
}

function delimitedSize(field: number, length: number): number {
  return varintSize((field << 3) | lengthDelimited) + varintSize(length) + length
}

function writeDelimited(into: Buffer, at: number, field: number, bytes: Uint8Array): number {
  const head = writeVarint(into, at, (field << 3) | lengthDelimited)
  const start = writeVarint(into, head, bytes.length)
  into.set(bytes, start)
  return start + bytes.length
}
