// The walk over undecoded answers must print what the decoded ones print, and survive any bytes.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RangeResponse } from '../../src/api/gen/rpc.js'
import { type FormatName, formatFor } from '../../src/output/format.js'

const data = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const int64 = fc
  .oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  .map(String)
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)

const keyValue = fc.record({
  key: data,
  create_revision: int64,
  mod_revision: int64,
  version: int64,
  value: data,
  lease: int64,
})

const header = fc.record({
  cluster_id: uint64,
  member_id: uint64,
  revision: int64,
  raft_term: uint64,
})

const response: fc.Arbitrary<RangeResponse> = fc.record({
  header: fc.option(header, { nil: undefined }),
  kvs: fc.array(keyValue, { maxLength: 12 }),
  more: fc.boolean(),
  count: int64,
})

const encoded = (message: RangeResponse): Buffer =>
  Buffer.from(RangeResponse.encode(message).finish())

interface Way {
  name: FormatName
  hex?: boolean
  valuesOnly?: boolean
}

const ways: readonly Way[] = [
  { name: 'simple' },
  { name: 'simple', valuesOnly: true },
  { name: 'simple', hex: true },
  { name: 'simple', hex: true, valuesOnly: true },
  { name: 'json' },
  { name: 'json', hex: true },
  { name: 'fields' },
  { name: 'fields', hex: true },
  { name: 'protobuf' },
]

async function pieces(message: Buffer, way: Way): Promise<Buffer[]> {
  const { name, hex = false, valuesOnly = false } = way
  const format = await formatFor(name, { hex, tableStyle: 'ascii', color: false })
  // A piece is only good until the next one, so each is copied at once.
  return Array.from(format.printRange?.(message, { valuesOnly }) ?? [], (one) => Buffer.from(one))
}

async function decoded(message: Buffer, way: Way): Promise<Buffer> {
  const { name, hex = false, valuesOnly = false } = way
  const format = await formatFor(name, { hex, tableStyle: 'ascii', color: false })
  const result = { kind: 'get', response: RangeResponse.decode(message), valuesOnly } as const
  return Buffer.from(format.print(result).stdout)
}

describe.each(ways)('in $name (hex $hex, valuesOnly $valuesOnly)', (way) => {
  test('bytes print like the message decoded from them', async () => {
    const property = fc.asyncProperty(response, async (message) => {
      const bytes = encoded(message)
      expect(Buffer.concat(await pieces(bytes, way)).equals(await decoded(bytes, way))).toBe(true)
    })
    await fc.assert(property, { numRuns: 300 })
  })

  test('answers larger than a piece are cut between pairs and lose nothing', async () => {
    const sizes = [0, 1, 127, 128, 300_000, 5, 262_144, 262_143, 1_000_000, 0, 7, 90_000, 90_001]
    const kvs = sizes.map((size, index) => ({
      key: Buffer.from(`k${index}`),
      create_revision: '2',
      mod_revision: '3',
      version: '1',
      value: Buffer.alloc(size, index),
      lease: '0',
    }))
    const bytes = encoded({ header: undefined, kvs, more: false, count: String(kvs.length) })
    const got = await pieces(bytes, way)
    expect(Buffer.concat(got).equals(await decoded(bytes, way))).toBe(true)
  })
})

/** Fields in any order, unknown ones among them, the same one twice. */
const field = fc.oneof(
  data.map((bytes) => Buffer.concat([Buffer.of(0x0a, bytes.length), bytes])),
  data.map((bytes) => Buffer.concat([Buffer.of(0x2a, bytes.length), bytes])),
  fc.constantFrom('1003', '1800', '208001', '30ffffffffffffffffff01').map(hexBytes),
  fc.constantFrom('3d01020304', '410102030405060708', '7a03616263', 'fa0100').map(hexBytes),
)

function hexBytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

const pair = fc
  .array(field, { maxLength: 6 })
  .map((fields) => Buffer.concat(fields))
  .filter((body) => body.length < 128)
  .map((body) => Buffer.concat([Buffer.of(0x12, body.length), body]))

const message = fc
  .array(fc.oneof(pair, fc.constantFrom('1801', '2005', '0a021803', '7a0161').map(hexBytes)))
  .map((parts) => Buffer.concat(parts))

test.each(ways.filter(({ name }) => name !== 'protobuf'))(
  'fields out of order, repeated and unknown print like the message decoded ($name $hex $valuesOnly)',
  async (way) => {
    const property = fc.asyncProperty(message, async (bytes) => {
      expect(Buffer.concat(await pieces(bytes, way)).equals(await decoded(bytes, way))).toBe(true)
    })
    await fc.assert(property, { numRuns: 300 })
  },
)

test('a message cut anywhere is reported or ends between fields', async () => {
  const kv = { key: Buffer.from('key'), value: Buffer.from('value') }
  const numbers = { create_revision: '300', mod_revision: '301', version: '1', lease: '7' }
  const header = { cluster_id: '1', member_id: '2', revision: '3', raft_term: '4' }
  const kvs = [
    { ...kv, ...numbers },
    { ...kv, ...numbers },
  ]
  const whole = encoded({ header, kvs, more: true, count: '2' })
  const boundaries = new Set<number>()
  for (let at = 0; at <= whole.length; at++) {
    try {
      await pieces(whole.subarray(0, at), { name: 'simple' })
      boundaries.add(at)
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
    }
  }
  const pairSize = 2 + (whole[11] ?? 0)
  expect([...boundaries]).toEqual([
    0,
    10,
    10 + pairSize,
    10 + 2 * pairSize,
    12 + 2 * pairSize,
    14 + 2 * pairSize,
  ])
})

test('random bytes are printed or reported, never waited for', async () => {
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
    for (const way of ways) {
      try {
        await pieces(Buffer.from(bytes), way)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }
  })
  await fc.assert(property, { numRuns: 500 })
})
