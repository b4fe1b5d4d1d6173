// record.test.ts: the hand-made encoder against the generated one, and the reader of records
// against what cannot be a record.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Entry, HardState } from '../../../src/api/gen/raft.js'
import { Record } from '../../../src/api/gen/wal.js'
import { crc32c } from '../../../src/storage/crc32c.js'
import { decodeRecord, FrameWriter, frameHead } from '../../../src/storage/wal/record.js'

const safe = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER),
)
const entryArb: fc.Arbitrary<Entry> = fc.record({
  Type: fc.constantFrom(0 as const, 1 as const, 2 as const),
  Term: safe,
  Index: safe,
  Data: fc.oneof(
    fc.constant(undefined),
    fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data)),
  ),
})
const stateArb: fc.Arbitrary<HardState> = fc.record({
  term: safe,
  vote: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  commit: safe,
})

/** The frame as the wire tables say, from generated codecs. */
function expectedFrame(type: number, data: Uint8Array, crcBefore: number): Buffer {
  const crc = crc32c(data, crcBefore)
  const record = Record.encode({ type, crc, data: Buffer.from(data) }).finish()
  const pad = (8 - (record.length % 8)) % 8
  const head = Buffer.alloc(8)
  head.writeUInt32LE(record.length, 0)
  head[7] = pad === 0 ? 0 : 0x80 | pad
  return Buffer.concat([head, record, Buffer.alloc(pad)])
}

test('an entry is encoded as the generated codec does it, and its frame is aligned', () => {
  fc.assert(
    fc.property(entryArb, fc.nat(0xffffffff), (entry, crc) => {
      const frames = new FrameWriter(crc)
      frames.entry(entry)
      expect(frames.bytes).toEqual(expectedFrame(2, Entry.encode(entry).finish(), crc))
      expect(frames.length % 8).toBe(0)
    }),
  )
})

test('a state is encoded as the generated codec does it', () => {
  fc.assert(
    fc.property(stateArb, fc.nat(0xffffffff), (state, crc) => {
      const frames = new FrameWriter(crc)
      frames.state(state)
      expect(frames.bytes).toEqual(expectedFrame(3, HardState.encode(state).finish(), crc))
    }),
  )
})

test('frames follow each other in one buffer, however large, and each checksum covers all', () => {
  const frames = new FrameWriter(0)
  const parts: Buffer[] = []
  let crc = 0
  for (let index = 1; index <= 40; index++) {
    const entry: Entry = { Type: 0, Term: 2, Index: index, Data: Buffer.alloc(index * 200, index) }
    frames.entry(entry)
    const data = Entry.encode(entry).finish()
    parts.push(expectedFrame(2, data, crc))
    crc = crc32c(data, crc)
  }
  expect(frames.bytes.equals(Buffer.concat(parts))).toBe(true)
  expect(frames.crc).toBe(crc)
  frames.clear(7)
  expect([frames.length, frames.crc]).toEqual([0, 7])
})

test('an index that is no safe integer is refused', () => {
  const frames = new FrameWriter(0)
  const entry: Entry = { Type: 0, Term: 1, Index: 2 ** 53 }
  expect(() => frames.entry(entry)).toThrow('9007199254740992')
})

test('a record reads back, its data being a view', () => {
  fc.assert(
    fc.property(entryArb, (entry) => {
      const frames = new FrameWriter(0)
      frames.entry(entry)
      const bytes = Buffer.from(frames.bytes)
      const head = frameHead(bytes, 0)
      const record = decodeRecord(bytes, 8, 8 + (head?.recordBytes ?? 0))
      expect(record).toMatchObject({ type: 2, crc: frames.crc })
      expect(record?.data.buffer).toBe(bytes.buffer)
      expect(Buffer.from(Entry.encode(entry).finish()).equals(record?.data ?? Buffer.of())).toBe(
        true,
      )
    }),
  )
})

const malformed: [name: string, hex: string][] = [
  ['a tag without a value', '08'],
  ['a field number of zero', '0000'],
  ['a type that is bytes', '0a0101'],
  ['data that is a number', '1801'],
  ['data longer than the record', '08021003 1a05 0102'],
  ['a varint of eleven bytes', '08ffffffffffffffffffff01'],
  ['a group', '0b'],
]

for (const [name, hex] of malformed) {
  test(`${name} is no record`, () => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    expect(decodeRecord(bytes, 0, bytes.length)).toBeUndefined()
  })
}

test('fields of later versions are passed over', () => {
  const bytes = Buffer.from(
    '0802 2a020102 1003 3001 390102030405060708 4501020304 1a0109'.replaceAll(' ', ''),
    'hex',
  )
  expect(decodeRecord(bytes, 0, bytes.length)).toEqual({ type: 2, crc: 3, data: Buffer.of(9) })
})
