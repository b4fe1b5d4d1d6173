// hpack-decoder.test.ts: the examples of RFC 7541 appendix C, blocks that break the rules, and
// blocks that are made to cost.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HpackDecoder } from '../../../src/grpc/h2/hpack-decoder.js'
import { HpackError } from '../../../src/grpc/h2/hpack-error.js'

const listBytesMax = 16 * 1024
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const newDecoder = (tableBytesMax = 4096) => new HpackDecoder({ tableBytesMax, listBytesMax })
const decodeAll = (decoder: HpackDecoder, block: Buffer) => decoder.decode(block, 0, block.length)
const headersOf = (decoder: HpackDecoder, block: string) => ({
  ...decodeAll(decoder, hex(block)).headers,
})

/** Blocks one after the other, what they say, and the size of the table after each. */
interface Example {
  name: string
  tableBytesMax?: number
  steps: readonly (readonly [block: string, headers: Record<string, string>, bytes: number])[]
}

const get = { ':method': 'GET', ':scheme': 'http', ':path': '/' }
const first = { ...get, ':authority': 'www.example.com' }
const requests = [
  first,
  { ...first, 'cache-control': 'no-cache' },
  { ...first, ':scheme': 'https', ':path': '/index.html', 'custom-key': 'custom-value' },
]
const moved = {
  ':status': '302',
  'cache-control': 'private',
  date: 'Mon, 21 Oct 2013 20:13:21 GMT',
  location: 'https://www.example.com',
}
const responses = [
  moved,
  { ...moved, ':status': '307' },
  {
    ...moved,
    ':status': '200',
    date: 'Mon, 21 Oct 2013 20:13:22 GMT',
    'content-encoding': 'gzip',
    'set-cookie': 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  },
]
const requestBytes = [57, 110, 164]
const responseBytes = [222, 222, 215]
const steps = (blocks: readonly string[], lists: readonly object[], sizes: readonly number[]) =>
  blocks.map((block, at) => [block, { ...lists[at] }, sizes[at] ?? 0] as const)

const examples: readonly Example[] = [
  {
    name: 'C.2.1: a literal for the table',
    steps: [
      [
        '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        { 'custom-key': 'custom-header' },
        55,
      ],
    ],
  },
  {
    name: 'C.2.2: a literal not for the table',
    steps: [['040c 2f73 616d 706c 652f 7061 7468', { ':path': '/sample/path' }, 0]],
  },
  {
    name: 'C.2.3: a literal never for any table',
    steps: [['1008 7061 7373 776f 7264 0673 6563 7265 74', { password: 'secret' }, 0]],
  },
  { name: 'C.2.4: an indexed field', steps: [['82', { ':method': 'GET' }, 0]] },
  {
    name: 'C.3: requests without Huffman codes',
    steps: steps(
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      requests,
      requestBytes,
    ),
  },
  {
    name: 'C.4: requests with Huffman codes',
    steps: steps(
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      requests,
      requestBytes,
    ),
  },
  {
    name: 'C.5: responses without Huffman codes, and a table that overflows',
    tableBytesMax: 256,
    steps: steps(
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032' +
          '303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63' +
          '6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0' +
          '5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851' +
          '5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
      responses,
      responseBytes,
    ),
  },
  {
    name: 'C.6: responses with Huffman codes, and a table that overflows',
    tableBytesMax: 256,
    steps: steps(
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b' +
          'ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad' +
          '94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160' +
          '65c0 03ed 4ee5 b106 3d50 07',
      ],
      responses,
      responseBytes,
    ),
  },
]

describe('HpackDecoder reads the examples of RFC 7541,', () => {
  test.each(examples)('$name', ({ tableBytesMax, steps }) => {
    const decoder = newDecoder(tableBytesMax)
    for (const [block, headers, bytes] of steps) {
      expect(headersOf(decoder, block)).toEqual(headers)
      expect(decoder.tableBytes).toBe(bytes)
    }
  })

  test('C.1: numbers, here as sizes of the table', () => {
    const sizes: readonly (readonly [block: string, size: number])[] = [
      ['2a', 10],
      ['3f9a0a', 1337],
    ]
    for (const [block, size] of sizes) {
      expect(headersOf(newDecoder(size), block)).toEqual({})
      expect(() => headersOf(newDecoder(size - 1), block)).toThrow(HpackError)
    }
  })
})

describe('HpackDecoder', () => {
  const custom = '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572' // 55 bytes

  test.each([
    ['index 0', '80'],
    ['an index behind the static table, when nothing is there', 'be'],
    ['the name of such an index', '7e 01 61'],
    ['a change of the table after a field', '82 20'],
    ['such a change that could be taken for a field', '82 21 01 61'],
    ['a table larger than allowed', '3f e2 1f'], // 4097
    ['a number without end', 'ff 80 80 80 80 80 80 80 80 80 80 00'],
    ['a number that is too large', 'ff ff ff ff ff 0f'],
    ['a number that is cut off', 'ff 80'],
    ['a size that is cut off', '3f'],
    ['a literal that is cut off', '40'],
    ['a name without a value', '40 01 61'],
    ['a string longer than the block', '40 01 61 05 61'],
    ['a coded string with nothing but the end of a string', '40 01 61 84 ff ff ff ff'],
  ])('refuses %s', (_name, block) => {
    expect(() => decodeAll(newDecoder(), hex(block))).toThrow(HpackError)
  })

  test('knows which index is the last', () => {
    const decoder = newDecoder()
    headersOf(decoder, custom)
    expect(headersOf(decoder, 'be')).toEqual({ 'custom-key': 'custom-header' })
    expect(() => headersOf(decoder, 'bf')).toThrow(HpackError)
  })

  test('forgets what no longer fits into a table made smaller, and not what does', () => {
    const decoder = newDecoder()
    headersOf(decoder, custom)
    headersOf(decoder, '3f18') // 55
    expect(headersOf(decoder, 'be')).toEqual({ 'custom-key': 'custom-header' })
    headersOf(decoder, '3f17') // 54
    expect(decoder.tableBytes).toBe(0)
    expect(() => headersOf(decoder, 'be')).toThrow(HpackError)
  })

  test('takes several sizes before the first field, of which the smallest counts', () => {
    const decoder = newDecoder()
    headersOf(decoder, custom)
    expect(headersOf(decoder, '20 3fe11f 82')).toEqual({ ':method': 'GET' }) // 0, then 4096
    expect(decoder.tableBytes).toBe(0)
    headersOf(decoder, custom)
    expect(decoder.tableBytes).toBe(55)
  })

  test('empties the table for a field larger than it, and still reads that', () => {
    const decoder = newDecoder(100)
    headersOf(decoder, custom)
    const large = Buffer.concat([hex('4001 61 64'), Buffer.alloc(100, 'x')])
    expect(decodeAll(decoder, large).headers).toEqual({ a: 'x'.repeat(100) })
    expect(decoder.tableBytes).toBe(0)
  })

  test('may take the name of a field that its own entry pushes out', () => {
    const decoder = newDecoder(55)
    headersOf(decoder, custom)
    expect(headersOf(decoder, '7e 01 61')).toEqual({ 'custom-key': 'a' })
    expect(headersOf(decoder, 'be')).toEqual({ 'custom-key': 'a' })
    expect(decoder.tableBytes).toBe(43)
  })

  test('numbers the fields of a full table anew with each that comes', () => {
    const decoder = newDecoder(3 * 34)
    for (let n = 0; n < 1000; n++) {
      const value = String.fromCharCode(0x61 + (n % 26))
      const block = Buffer.concat([hex('4001 61 01'), Buffer.from(value)])
      decodeAll(decoder, block)
      const held = [...Array(Math.min(3, n + 1)).keys()].map((age) => {
        const { a } = headersOf(decoder, (0xbe + age).toString(16))
        return a
      })
      expect(held).toEqual(
        [n, n - 1, n - 2].filter((m) => m >= 0).map((m) => String.fromCharCode(0x61 + (m % 26))),
      )
    }
    for (let index = 65; index < 127; index++) {
      expect(() => decodeAll(decoder, Buffer.from([0x80 | index]))).toThrow(HpackError)
    }
  })

  test('does not take a block for one before it that came to another table', () => {
    const decoder = newDecoder()
    headersOf(decoder, '4001 61 01 31')
    expect(headersOf(decoder, 'be')).toEqual({ a: '1' })
    expect(headersOf(decoder, 'be')).toEqual({ a: '1' })
    headersOf(decoder, '4001 61 01 32')
    expect(headersOf(decoder, 'be')).toEqual({ a: '2' })
    headersOf(decoder, '20')
    expect(() => headersOf(decoder, 'be')).toThrow(HpackError)
  })

  test('remembers what a block says, unless that is longer than what the table holds', () => {
    const decoder = newDecoder()
    headersOf(decoder, custom)
    expect(decodeAll(decoder, hex('82be'))).toBe(decodeAll(decoder, hex('82be')))
    const twice = decodeAll(decoder, hex('bebe'))
    expect({ ...twice.headers }).toEqual({ 'custom-key': 'custom-header, custom-header' })
    expect(decodeAll(decoder, hex('bebe'))).not.toBe(twice)
  })

  test('reads where it is told to, and keeps nothing of the buffer', () => {
    const decoder = newDecoder()
    const bytes = hex(`ffff ${custom} be ffff`)
    decoder.decode(bytes, 2, bytes.length - 3)
    const { headers } = decoder.decode(bytes, bytes.length - 3, bytes.length - 2)
    bytes.fill(0)
    expect(headers).toEqual({ 'custom-key': 'custom-header' })
    expect(headersOf(decoder, 'be')).toEqual({ 'custom-key': 'custom-header' })
  })

  test('has no names but those that came, whatever objects have', () => {
    const { headers } = decodeAll(
      newDecoder(),
      Buffer.from('\0\x09__proto__\x011\0\x08toString\x012'),
    )
    expect('constructor' in headers).toBe(false)
    expect(Object.entries(headers)).toEqual([
      ['__proto__', '1'],
      ['toString', '2'],
    ])
  })
})

describe('HpackDecoder, of blocks made to cost,', () => {
  /** One field that fills most of the table. */
  const long = Buffer.concat([hex('4001 61 7f 811e'), Buffer.alloc(127 + 1 + 30 * 128, 'x')])

  test('keeps no more of a list than the limit, and stays in step with the table', () => {
    const decoder = newDecoder()
    expect(decodeAll(decoder, long).isTooLarge).toBe(false)
    const many = Buffer.concat([Buffer.alloc(60_000, 0xbe), hex('4001 62 01 32')])
    const section = decodeAll(decoder, many)
    expect(section.isTooLarge).toBe(true)
    expect(JSON.stringify(section.headers).length).toBeLessThanOrEqual(listBytesMax)
    expect(headersOf(decoder, 'be')).toEqual({ b: '2' })
  })

  test('counts a list as SETTINGS_MAX_HEADER_LIST_SIZE does, 32 bytes a field', () => {
    const fields = (count: number) => Buffer.concat(Array(count).fill(hex('0001 61 01 31'))) // 34
    const decoder = new HpackDecoder({ listBytesMax: 340 })
    expect(decodeAll(decoder, fields(10)).isTooLarge).toBe(false)
    expect(decodeAll(decoder, fields(11)).isTooLarge).toBe(true)
  })

  test('never has more in its table than it said', () => {
    const field = fc.tuple(fc.constantFrom('a', 'bcd', 'e'.repeat(90)), fc.nat(126))
    fc.assert(
      fc.property(fc.array(field, { maxLength: 300 }), fc.nat(1000), (fields, tableBytesMax) => {
        const decoder = newDecoder(tableBytesMax)
        for (const [name, size] of fields) {
          const head = Buffer.from([0x40, name.length])
          const value = Buffer.concat([Buffer.from([size]), Buffer.alloc(size, 'v')])
          decodeAll(decoder, Buffer.concat([head, Buffer.from(name), value]))
          expect(decoder.tableBytes).toBeLessThanOrEqual(tableBytesMax)
        }
      }),
      { numRuns: 30 },
    )
  })

  /** A list or an HpackError; anything else is thrown on. */
  const outcome = (decoder: HpackDecoder, block: Buffer): 'list' | 'error' => {
    try {
      decodeAll(decoder, block)
      return 'list'
    } catch (error) {
      if (error instanceof HpackError) return 'error'
      throw error
    }
  }

  test('ends a cut block with a list or an error, wherever it is cut', () => {
    for (const { tableBytesMax, steps } of examples) {
      steps.forEach(([block], at) => {
        for (let end = 0; end <= hex(block).length; end++) {
          const decoder = newDecoder(tableBytesMax)
          for (const [earlier] of steps.slice(0, at)) headersOf(decoder, earlier)
          const isWhole = end === hex(block).length
          const found = outcome(decoder, hex(block).subarray(0, end))
          if (isWhole) expect(found).toBe('list')
        }
      })
    }
  })

  test('ends any bytes with a list or an error', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
    // Single bytes changed in good blocks come further than chance does.
    const good = fc.constantFrom(...examples.flatMap(({ steps }) => steps.map(([b]) => b)))
    const changed = fc.tuple(good, fc.nat(), fc.nat(255)).map(([block, at, byte]) => {
      const copy = hex(block)
      copy[at % copy.length] = byte
      return copy
    })
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes, changed), { maxLength: 8 }), (blocks) => {
        const decoder = newDecoder()
        for (const block of blocks) if (outcome(decoder, block) === 'error') return
        expect(decoder.tableBytes).toBeLessThanOrEqual(4096)
      }),
      { numRuns: 2000 },
    )
  })
})
