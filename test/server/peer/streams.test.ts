// streams.test.ts: both kinds of streams as bytes: against bytes that real members sent, and cut
// wherever a connection may cut them.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Entry, Message, MessageType } from '../../../src/api/gen/raft.js'
import { newAppendEncoder, parseAppends } from '../../../src/server/peer/append-stream.js'
import { ByteFeed, type ByteParser, lengthPrefixed } from '../../../src/server/peer/byte-parser.js'
import {
  decodeMessage,
  encodeMessage,
  newMessageEncoder,
  parseMessages,
  type StreamEncoder,
} from '../../../src/server/peer/message-stream.js'
import { raftMessage } from './ends.js'

const from = 0xfedcba9876543210n
const to = 0x10bbd00daf2ae0e1n

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex')
const entry = (Term: number, Index: number, data?: string): Entry => {
  return data === undefined
    ? { Type: 0, Term, Index }
    : { Type: 0, Term, Index, Data: Buffer.from(data) }
}
const append = (fields: Partial<Message>): Message =>
  raftMessage({ from, to, type: MessageType.MsgApp, ...fields })

function written(encoder: StreamEncoder, messages: readonly Message[]): Buffer {
  return Buffer.concat(messages.flatMap((message) => encoder.encode(message)))
}

/** What a parser makes of bytes that arrive in these pieces. */
function read(
  pieces: readonly Buffer[],
  newParser: (onMessage: (message: Message) => void) => ByteParser,
): Message[] {
  const messages: Message[] = []
  const feed = new ByteFeed(newParser((message) => messages.push(message)))
  for (const piece of pieces) feed.push(piece)
  return messages
}

const readAppends = (pieces: readonly Buffer[]): Message[] =>
  read(pieces, (onMessage) => parseAppends({ from, to }, onMessage))
const readMessages = (pieces: readonly Buffer[]): Message[] => read(pieces, parseMessages)

/** Messages by meaning: absent and empty bytes are the same. */
const meaning = (messages: readonly Message[]) =>
  messages.map((message) => Buffer.from(encodeMessage(message)).toString('hex'))

describe('a message alone', () => {
  test('has all scalars and the stub of a snapshot, as etcd 3.4 writes it', () => {
    const message = append({ term: 2, logTerm: 2, index: 5, commit: 5, entries: [entry(2, 6)] })
    const ids = Buffer.from([0x10, ...varint(to), 0x18, ...varint(from)])
    const rest = hex(`2002 2802 3005 3a06 0800 1002 1806 4005
                      4a0a12080a022800 10001800 5000 5800`)
    expect(Buffer.from(encodeMessage(message))).toEqual(Buffer.concat([hex('0803'), ids, rest]))
  })

  test('has no snapshot for raft where only the stub was sent', () => {
    const bytes = Buffer.from(encodeMessage(append({})))
    expect(Message.decode(bytes).snapshot).toBeDefined()
    expect(decodeMessage(bytes).snapshot).toBeUndefined()
  })

  test('may be written sparsely, as 3.7 does, or with fields that are not known', () => {
    const sparse = decodeMessage(hex('0808'))
    expect(sparse).toMatchObject({ type: MessageType.MsgHeartbeat, to: 0n, from: 0n, term: 0 })
    const later = decodeMessage(hex('0808 10 01 18 02 68 00 7202 0808'))
    expect(later).toMatchObject({ type: MessageType.MsgHeartbeat, to: 1n, from: 2n })
  })
})

describe('the stream of messages', () => {
  test('shows life with the thirty bytes of etcd 3.4', () => {
    expect(Buffer.from(newMessageEncoder().heartbeat).toString('hex')).toBe(
      hex(`00 00 00 00 00 00 00 1e 08 08 10 00 18 00 20 00 28 00 30 00 40 00
           4a 0a 12 08 0a 02 28 00 10 00 18 00 50 00 58 00`).toString('hex'),
    )
  })

  test.each([
    ['3.4', '000000000000001e 08081000180020002800300040004a0a12080a02280010001800 50005800'],
    ['3.6', '0000000000000014 0808100018002000280030004000500058006800'],
    ['3.7', '0000000000000002 0808'],
  ])('takes the sign of life of etcd %s for none of its messages', (_, sign) => {
    const real = raftMessage({ from, to, term: 3 })
    const bytes = Buffer.concat([hex(sign), written(newMessageEncoder(), [real]), hex(sign)])
    expect(meaning(readMessages([bytes]))).toEqual(meaning([real]))
  })

  test('is read alike wherever it is cut', () => {
    const messages = [
      raftMessage({ from, to, type: MessageType.MsgVote, term: 7, logTerm: 6, index: 100 }),
      raftMessage({
        from,
        to,
        type: MessageType.MsgAppResp,
        term: 7,
        index: 2 ** 40,
        reject: true,
      }),
      append({ term: 7, entries: [entry(7, 1, 'x'.repeat(300))] }),
    ]
    const bytes = written(newMessageEncoder(), messages)
    for (let at = 0; at <= bytes.length; at++) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)]
      expect(meaning(readMessages(pieces)), `cut at ${at}`).toEqual(meaning(messages))
    }
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
    expect(meaning(readMessages(single))).toEqual(meaning(messages))
  })

  test('refuses a length that no message has', () => {
    expect(() => readMessages([hex('0000000020000001')])).toThrow('exceeds the limit')
    expect(() => readMessages([hex('ffffffffffffffff')])).toThrow('exceeds the limit')
  })

  test('refuses a frame that holds no message', () => {
    expect(() => readMessages([hex('0000000000000002 ffff')])).toThrow()
  })
})

describe('the stream of appends', () => {
  test('begins in full, then goes on without repeating where it is', () => {
    const encoder = newAppendEncoder()
    const first = append({ term: 2, logTerm: 1, index: 3, commit: 3, entries: [entry(2, 4)] })
    const noop = encoder.encode(first)
    expect(noop[0]).toEqual(Buffer.from([2]))
    const next = append({ term: 2, logTerm: 2, index: 4, commit: 4, entries: [entry(2, 5, 'ab')] })
    expect(written(encoder, [next]).toString('hex')).toBe(
      hex(
        `01 0000000000000001 000000000000000a 0800 1002 1805 2202 6162 0000000000000004`,
      ).toString('hex'),
    )
    const commitOnly = append({ term: 2, logTerm: 2, index: 5, commit: 5 })
    expect(written(encoder, [commitOnly]).toString('hex')).toBe(
      hex('01 0000000000000000 0000000000000005').toString('hex'),
    )
    expect(Buffer.from(encoder.heartbeat).toString('hex')).toBe('00')
  })

  test.each([
    ['after an election', { term: 3, logTerm: 2, index: 5 }],
    ['when it goes back', { term: 2, logTerm: 2, index: 4 }],
    ['when it leaves entries out', { term: 2, logTerm: 2, index: 6 }],
  ])('says in full where it is %s', (_, where) => {
    const encoder = newAppendEncoder()
    written(encoder, [append({ term: 2, logTerm: 1, index: 4, entries: [entry(2, 5)] })])
    expect(written(encoder, [append(where)])[0]).toBe(2)
  })

  test('is in full at once even where both would agree on the beginning', () => {
    const encoder = newAppendEncoder()
    expect(written(encoder, [append({ term: 1 })])[0]).toBe(2)
  })

  test('gives back any run of appends, cut anywhere', () => {
    fc.assert(
      fc.property(appendRun, fc.array(fc.nat(4000), { maxLength: 6 }), (messages, cuts) => {
        const bytes = written(newAppendEncoder(), messages)
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
        at.sort((x, y) => x - y)
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end))
        expect(meaning(readAppends(pieces))).toEqual(meaning(messages))
      }),
    )
  })

  test('is read alike wherever it is cut', () => {
    const encoder = newAppendEncoder()
    const messages = [
      append({ term: 2, logTerm: 1, index: 3, commit: 3, entries: [entry(2, 4)] }),
      append({
        term: 2,
        logTerm: 2,
        index: 4,
        commit: 4,
        entries: [entry(2, 5, 'a'), entry(2, 6)],
      }),
      append({ term: 2, logTerm: 2, index: 6, commit: 6 }),
    ]
    const bytes = Buffer.concat([encoder.heartbeat, written(encoder, messages), encoder.heartbeat])
    for (let at = 0; at <= bytes.length; at++) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)]
      expect(meaning(readAppends(pieces)), `cut at ${at}`).toEqual(meaning(messages))
    }
  })

  test('refuses items of a kind that it does not know', () => {
    expect(() => readAppends([hex('03')])).toThrow('failed to parse type 3 in msgappv2 stream')
  })
})

test('bytes that follow what was asked for are left', () => {
  const feed = new ByteFeed(
    (function* () {
      yield* lengthPrefixed(10)
    })(),
  )
  feed.push(hex('0000000000000002 aa'))
  expect(feed.isDone).toBe(false)
  feed.push(hex('bb cc dd'))
  expect(feed.isDone).toBe(true)
  expect(feed.rest()).toEqual(hex('ccdd'))
})

/** Appends of one leader after another, some of which go back or skip. */
const appendRun = fc
  .array(
    fc.record({
      isElection: fc.boolean(),
      back: fc.nat(2),
      sizes: fc.array(fc.nat(40), { maxLength: 3 }),
    }),
    { maxLength: 12 },
  )
  .map((steps) => {
    let term = 1
    let logTerm = 1
    let index = 10
    return steps.map(({ isElection, back, sizes }) => {
      if (isElection) term++
      const start = index - back
      const entries = sizes.map((size, i) => entry(term, start + 1 + i, 'z'.repeat(size)))
      const message = append({ term, logTerm, index: start, commit: start, entries })
      index = start + entries.length
      if (entries.length > 0) logTerm = term
      return message
    })
  })

function varint(value: bigint): number[] {
  return value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)]
}
