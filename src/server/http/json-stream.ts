// json-stream.ts: JSON values that follow one another, as a client posts them to a call that takes
// several: `{"ID":"1"}{"ID":"2"}`, with or without white space between. A value is handed on when
// it is whole, so that a client may keep the request open.
import { RpcError, Status } from '../../grpc/status.js'
import { type Json, parseJson } from '../../storage/exact-json.js'

const quote = 0x22
const backslash = 0x5c
const openers: ReadonlySet<number> = new Set([0x7b, 0x5b])
const spaces: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])
const closers: ReadonlySet<number> = new Set([0x7d, 0x5d])

/** @throws RpcError resourceExhausted for a value over `bytesMax`, invalidArgument for no JSON */
export async function* jsonValues(
  body: AsyncIterable<Buffer>,
  bytesMax: number,
): AsyncGenerator<Json, void, void> {
  let rest: Buffer = Buffer.alloc(0)
  let at = 0
  let depth = 0
  let isString = false
  for await (const piece of body) {
    rest = Buffer.concat([rest, piece])
    if (rest.length > bytesMax) throw tooLarge(rest.length, bytesMax)
    for (; at < rest.length; at++) {
      const byte = rest[at] ?? 0
      if (isString) {
        if (byte === backslash) at++
        else if (byte === quote) isString = false
      } else if (depth === 0 && spaces.has(byte)) {
        // What stands before it is no object, but white space ends it.
        if (at > 0) yield parsed(rest.subarray(0, at))
        while (spaces.has(rest[at + 1] ?? 0)) at++
        rest = rest.subarray(at + 1)
        at = -1
      } else if (byte === quote) isString = true
      else if (openers.has(byte)) depth++
      else if (closers.has(byte) && --depth <= 0) {
        yield parsed(rest.subarray(0, at + 1))
        rest = rest.subarray(at + 1)
        at = -1
        depth = 0
      }
    }
  }
  if (/\S/.test(rest.toString())) yield parsed(rest)
}

function parsed(bytes: Buffer): Json {
  const value = parseJson(bytes.toString())
  if (value !== undefined) return value
  throw new RpcError(Status.invalidArgument, 'the body is not JSON')
}

function tooLarge(bytes: number, bytesMax: number): RpcError {
  const problem = `grpc: received message larger than max (${bytes} vs. ${bytesMax})`
  return new RpcError(Status.resourceExhausted, problem)
}
