// The hand-written KeyValue codec against the generated one, and what it refuses.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyValue } from '../../src/api/gen/kv.js'
import {
  keyValueSize,
  parseKeyValue,
  valueBounds,
  writeKeyValue,
} from '../../src/mvcc/key-value.js'

const revision = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32),
)
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const keyValue = fc.record({
  key: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  value: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fields: fc.record({
    createRevision: revision,
    mod: revision,
    version: revision,
    lease: fc.oneof(fc.constantFrom(0n, 1n, -1n, 127n, 128n), int64),
  }),
})

function encode(pair: Parameters<typeof writeKeyValue>[2]): Buffer {
  const size = keyValueSize(pair.key.length, pair.value.length, pair.fields)
  const bytes = Buffer.alloc(size + 2)
  expect(writeKeyValue(bytes, 1, pair)).toBe(1 + size)
  return bytes.subarray(1, 1 + size)
}

test('a pair is written as the generated codec writes it, and read back', () => {
  fc.assert(
    fc.property(keyValue, (pair) => {
      const bytes = encode(pair)
      const expected = KeyValue.encode({
        key: pair.key,
        create_revision: String(pair.fields.createRevision),
        mod_revision: String(pair.fields.mod),
        version: String(pair.fields.version),
        value: pair.value,
        lease: pair.fields.lease.toString(),
      }).finish()
      expect(bytes.equals(expected)).toBe(true)
      expect(parseKeyValue(bytes)).toEqual(pair)
      const [start, end] = valueBounds(bytes, 0, { keySize: pair.key.length, fields: pair.fields })
      expect(bytes.subarray(start, end).equals(pair.value)).toBe(true)
    }),
  )
})

test('bytes that are cut or followed by something are no pair', () => {
  fc.assert(
    fc.property(keyValue, fc.nat(), (pair, at) => {
      const bytes = encode(pair)
      fc.pre(bytes.length > 0)
      const cut = bytes.subarray(0, at % bytes.length)
      const parsed = parseKeyValue(cut)
      // A cut between two fields is itself canonical, but then it is another pair.
      if (parsed !== undefined) expect(parsed).not.toEqual(pair)
      expect(parseKeyValue(Buffer.concat([bytes, Buffer.from([0])]))).toBeUndefined()
    }),
  )
})

test.each([
  ['fields out of order', '18020a0161'],
  ['a zero that should be left out', '0a0161100018021801'],
  ['a number with more bytes than it needs', '0a01611082800018022001'],
  ['an unknown field', '0a016110021802200138013a0161'],
  ['a number above the safe integers', '0a016110ffffffffffffffffff0118022001'],
  ['a key that claims more bytes than there are', '0a0961'],
])('%s is refused: its hash would differ between members', (_, hex) => {
  expect(parseKeyValue(Buffer.from(hex, 'hex'))).toBeUndefined()
})
