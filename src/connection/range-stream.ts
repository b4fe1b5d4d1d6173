// range-stream.ts: one range in pieces, each an undecoded RangeResponse. Put together, field after
// field, they are the answer that Range would have given: pairs in every piece, header and count in
// the last.
import { type DeepPartial, RangeRequest } from '../api/gen/rpc.js'
import type { Calls } from './calls.js'
import type { CallOptions } from './clients.js'
import { serverMessages } from './server-stream.js'

const path = '/etcdserverpb.KV/RangeStream'

export async function* rangePieces(
  calls: Calls,
  { range, endpointCount }: { range: DeepPartial<RangeRequest>; endpointCount: number },
  options?: CallOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const request = RangeRequest.encode(RangeRequest.fromPartial(range)).finish()
  for await (const message of serverMessages(calls, { path, request, endpointCount }, options)) {
    yield onlyField(message)
  }
}

/** Content of RangeStreamResponse{1 range_response}: a tag, a length, and the rest. */
function onlyField(message: Buffer): Buffer {
  if (message.length === 0) return message
  let size = 0
  let at = 1
  for (let shift = 0; ; shift += 7) {
    const byte = message[at++]
    if (message[0] !== 0x0a || byte === undefined || shift > 28) {
      throw new RangeError('a piece of a range is no RangeStreamResponse')
    }
    size += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return message.subarray(at, at + size)
  }
}
