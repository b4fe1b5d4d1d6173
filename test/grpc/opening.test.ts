// The first frames of an HTTP/2 connection, cut in all ways: who is passed on at once, who is
// greeted, and what node:http2 gets in the end. The bytes are those of etcdctl 3.4.
import { describe, expect, test } from 'vitest'
import { emptySettings, judgeOpening } from '../../src/grpc/opening.js'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const goOpening = Buffer.concat([preface, emptySettings])
const ack = Buffer.from('000000040100000000', 'hex')
const ping = Buffer.concat([Buffer.from('000008060000000000', 'hex'), Buffer.alloc(8)])

const windowUpdate = Buffer.from('00000408000000000000010000', 'hex')

// `endpoint status` of http://127.0.0.1:45551: the Huffman code of the URL, and what is around it.
const before = '8386459760a924882d9dcb6571afa066a925a87510ac6e48d36a3f'
const url = '909d29aee30c044eae05c0b86e34db6d87'
const after =
  '5f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb2caecff40027465864d833505b11f40899acac8b24d494f6a' +
  '7f867df6597016ff408d25062d495875996ee5b1063d5f03332e34'
const headers = frame(1, 4, Buffer.from(`${before}41${url}f8`.slice(0, -2) + after, 'hex'))
const repaired = frame(1, 4, Buffer.from(`${before}41012d${after}`, 'hex'))
const data = frame(0, 1, Buffer.alloc(5))

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1])
  head.writeUIntBE(payload.length, 0, 3)
  return Buffer.concat([head, payload])
}

/** Plays the listener: gives the client's bytes in pieces, and the second part after a greeting. */
function passed(pieces: readonly Buffer[], isGreeted: boolean) {
  let held = Buffer.alloc(0)
  for (const piece of pieces) {
    held = Buffer.concat([held, piece])
    const opening = judgeOpening(held, isGreeted)
    if (opening.next === 'pass') return { bytes: opening.bytes, held }
    if (opening.next !== 'wait') return { next: opening.next, held }
  }
  return { next: 'wait', held }
}

const bytesOf = (whole: Buffer) => Array.from(whole, (_, i) => whole.subarray(i, i + 1))

describe("a client that opens like Go's", () => {
  test('is greeted when its SETTINGS are there, not before', () => {
    for (let cut = 0; cut < goOpening.length; cut++) {
      expect(judgeOpening(goOpening.subarray(0, cut), false)).toEqual({ next: 'wait' })
    }
    expect(judgeOpening(goOpening, false)).toEqual({ next: 'greet' })
    expect(judgeOpening(goOpening, true)).toEqual({ next: 'wait' })
  })

  const orders = { 'ACK, HEADERS': [ack, headers, data], 'HEADERS, ACK': [headers, ack, data] }
  for (const [name, frames] of Object.entries(orders)) {
    test(`${name}: the ACK is taken out, the URL replaced, however it is cut`, () => {
      const whole = Buffer.concat([goOpening, ...frames])
      const expected = Buffer.concat([goOpening, repaired, data])
      for (let cut = goOpening.length; cut <= whole.length; cut++) {
        const first = whole.subarray(0, cut)
        const { bytes, held } = passed([first, whole.subarray(cut)], true)
        expect(Buffer.concat([bytes ?? ack, whole.subarray(held.length)])).toEqual(expected)
      }
      const { bytes, held } = passed(bytesOf(whole), true)
      expect(Buffer.concat([bytes ?? ack, whole.subarray(held.length)])).toEqual(expected)
    })
  }

  test('HEADERS, DATA, ACK: it is waited for the ACK, so that node:http2 never sees it', () => {
    const whole = Buffer.concat([goOpening, headers, data, ack])
    expect(passed(bytesOf(whole), true)).toEqual({
      bytes: Buffer.concat([goOpening, repaired, data]),
      held: whole,
    })
  })

  test('one that waits for nobody is passed on without a greeting', () => {
    const whole = Buffer.concat([goOpening, headers])
    for (let cut = goOpening.length + 1; cut <= whole.length; cut++) {
      const { bytes } = passed([whole.subarray(0, cut), whole.subarray(cut)], false)
      expect(bytes).toEqual(Buffer.concat([goOpening, repaired]))
    }
  })

  test('its later calls are looked at unless the first was sound', () => {
    const needsRepair = (frame: Buffer) =>
      judgeOpening(Buffer.concat([goOpening, frame]), false).needsRepair
    expect(needsRepair(headers)).toBe(true)
    expect(needsRepair(ping)).toBe(true)
    expect(needsRepair(repaired)).toBe(false)
  })

  test('one with a larger window of its own is greeted behind it', () => {
    const open = Buffer.concat([goOpening, windowUpdate])
    for (let cut = goOpening.length + 1; cut < open.length; cut++) {
      expect(judgeOpening(open.subarray(0, cut), false).next).toBe('wait')
    }
    expect(judgeOpening(open, false)).toEqual({ next: 'greet' })
    const { bytes } = passed([open, ack, windowUpdate, headers], true)
    expect(bytes).toEqual(Buffer.concat([open, windowUpdate, repaired]))
  })

  test('one that sends something else first is passed on with only the ACK taken out', () => {
    const { bytes } = passed([goOpening, ack, ping, headers], true)
    expect(bytes).toEqual(Buffer.concat([goOpening, ping]))
  })

  test('one that says nothing after the ACK can be passed on', () => {
    const held = Buffer.concat([goOpening, ack])
    expect(judgeOpening(held, true)).toEqual({
      next: 'wait',
      bytes: goOpening,
      needsRepair: true,
    })
    expect(judgeOpening(Buffer.concat([goOpening, headers]), true)).toEqual({ next: 'wait' })
  })

  test('only the first ACK is taken for the answer to the greeting', () => {
    const { bytes } = passed([Buffer.concat([goOpening, ack, ack, headers])], true)
    expect(bytes).toEqual(Buffer.concat([goOpening, ack, headers]))
  })

  test('a block that is not whole in its frame, padded or with a priority stays', () => {
    for (const flags of [0, 4 | 8, 4 | 0x20]) {
      const odd = frame(1, flags, headers.subarray(9))
      const { bytes } = passed([Buffer.concat([goOpening, ack, odd])], true)
      expect(bytes).toEqual(Buffer.concat([goOpening, odd]))
    }
  })

  test('a frame that claims to be too large is not waited for', () => {
    const claim = Buffer.concat([goOpening, ack, Buffer.from('004001010400000001', 'hex')])
    expect(judgeOpening(claim, true)).toEqual({
      next: 'pass',
      bytes: Buffer.concat([goOpening, claim.subarray(goOpening.length + ack.length)]),
      needsRepair: true,
    })
  })

  test('one that never sends the ACK is refused when too much has come', () => {
    const pieces = Array.from({ length: 20 }, () => frame(0, 0, Buffer.alloc(16_384)))
    const { next, held } = passed([goOpening, headers, ...pieces], true)
    expect(next).toBe('refuse')
    expect(held.length).toBeLessThan(150_000)
  })
})

describe('everybody else', () => {
  test('settings that say something: passed on at the first byte that differs, untouched', () => {
    const other = Buffer.concat([preface, Buffer.from('00000604000000000000040000ffff', 'hex')])
    for (let cut = 0; cut <= other.length; cut++) {
      const opening = judgeOpening(other.subarray(0, cut), false)
      if (cut < 27) expect(opening).toEqual({ next: 'wait' })
      else expect(opening).toEqual({ next: 'pass', bytes: other.subarray(0, cut) })
    }
  })

  test('an :authority without a URL: not a byte is touched', () => {
    const sound = frame(1, 4, Buffer.from('8386418aa0e41d139d09b8f01e075f', 'hex'))
    const whole = Buffer.concat([goOpening, sound, data])
    expect(judgeOpening(whole, false)).toEqual({ next: 'pass', bytes: whole, needsRepair: false })
  })
})
