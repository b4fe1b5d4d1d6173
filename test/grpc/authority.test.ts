// The :authority of a header block: found in every representation, replaced only where it must be.
import { once } from 'node:events'
import http2 from 'node:http2'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { withoutUrl } from '../../src/grpc/authority.js'

const method = Buffer.from([0x83])
const path = Buffer.concat([Buffer.from([0x04, 4]), Buffer.from('/a/b')])
const spelt = Buffer.concat([Buffer.from([0x40, 3]), Buffer.from('x-a\x02bc')])

/** A plain :authority, in the given representation. */
function authority(value: string, representation = 0x41): Buffer {
  const length = value.length < 127 ? [value.length] : [127, value.length - 127]
  return Buffer.concat([Buffer.from([representation, ...length]), Buffer.from(value)])
}

/** The header block that nghttp2 makes of a request, with Huffman codes where they are shorter. */
async function codedBlock(value: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  const wire = new Duplex({
    read() {},
    write(piece, _encoding, done) {
      pieces.push(piece)
      done()
      wire.emit('told')
    },
  })
  const session = http2.connect('http://localhost', { createConnection: () => wire })
  session.on('error', () => {})
  session.request({ ':authority': value, ':path': '/a/b', 'x-more': 'value' }).on('error', () => {})
  let block: Buffer | undefined
  while (block === undefined) {
    await once(wire, 'told')
    block = headersOf(Buffer.concat(pieces))
  }
  session.destroy()
  return block
}

function headersOf(bytes: Buffer): Buffer | undefined {
  for (let at = 24; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    const priorityBytes = ((bytes[at + 4] ?? 0) & 0x20) === 0 ? 0 : 5
    if (bytes[at + 3] === 1 && end <= bytes.length)
      return bytes.subarray(at + 9 + priorityBytes, end)
  }
  return undefined
}

const bad = [
  'http://127.0.0.1:2379',
  'https://127.0.0.1:2379',
  'unix:///run/etcd',
  'unixs:///run/etcd',
  '/run/etcd',
  `http://${'h'.repeat(180)}`,
]
const good = ['127.0.0.1:2379', 'localhost', 'h', '', 'http:/x', 'httpx://x', 'unix:/x', 'a/b']

describe('plain values', () => {
  for (const value of bad) {
    for (const representation of [0x41, 0x01, 0x11]) {
      test(`${value} goes from a literal ${representation.toString(16)}`, () => {
        const block = Buffer.concat([method, path, authority(value, representation), spelt])
        const expected = Buffer.concat([method, path, authority('-', representation), spelt])
        expect(withoutUrl(block)).toEqual(expected)
      })
    }
  }
  for (const value of good) {
    test(`'${value}' stays`, () => {
      expect(withoutUrl(Buffer.concat([method, authority(value), path]))).toBeUndefined()
    })
  }
  test('a new size of the table, and names that are spelt out, are stepped over', () => {
    const size = Buffer.from([0x3f, 0xe1, 0x1f])
    const block = Buffer.concat([size, spelt, authority('http://x'), path])
    const expected = Buffer.concat([size, spelt, authority('-'), path])
    expect(withoutUrl(block)).toEqual(expected)
  })
})

describe('Huffman coded values, as nghttp2 writes them', () => {
  for (const value of bad) {
    test(`${value} goes`, async () => {
      const block = await codedBlock(value)
      const changed = withoutUrl(block) ?? Buffer.alloc(0)
      const at = changed.indexOf(Buffer.from([1, 45]))
      expect(at).toBeGreaterThan(0)
      const taken = block.length - changed.length
      expect((block[at] ?? 0) & 0x80).toBe(0x80)
      expect(changed.subarray(0, at)).toEqual(block.subarray(0, at))
      expect(changed.subarray(at + 2)).toEqual(block.subarray(at + 2 + taken))
      expect(changed.length - at - 2).toBeGreaterThan(10)
    })
  }
  for (const value of good) {
    test(`'${value}' stays`, async () => {
      expect(withoutUrl(await codedBlock(value))).toBeUndefined()
    })
  }
})

test('a block that is cut anywhere before the end of its :authority stays as it is', () => {
  const start = Buffer.concat([method, spelt, path, authority(`http://${'h'.repeat(180)}`)])
  for (let cut = 0; cut < start.length; cut++) {
    expect(withoutUrl(start.subarray(0, cut))).toBeUndefined()
  }
  expect(withoutUrl(start)).toBeDefined()
})

test('noise neither throws nor grows', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      const changed = withoutUrl(Buffer.from(noise))
      expect(changed === undefined || changed.length <= noise.length).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
