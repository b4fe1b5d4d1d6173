// append-stream.ts: the stream that carries a leader's appends alone ("msgappv2" in etcd's logs).
// Both ends remember where the last item ended, so that the next one need not say where it begins:
//
//     0                                                   a sign of life
//     1   u64 n, n times (u64 size, Entry), u64 commit    goes on where the last item ended
//     2   u64 size, Message                               any append, in full
//
// The memory is the term and the index of the last entry, both 0 on a new connection. An item of
// type 1 moves the index by n; one of type 2 sets both. Nothing is repeated inside a connection:
// after an error only a new one helps.
import { Entry, type Message, MessageType } from '../../api/gen/raft.js'
import { encodeUint64 } from '../../storage/schema.js'
import { prefixRoomBytes, writeEntryHead } from '../../storage/wal/record.js'
import { type ByteParser, itemBytesMax, lengthPrefixed, uint64 } from './byte-parser.js'
import { decodeMessage, framed, type StreamEncoder } from './message-stream.js'

const itemType = { heartbeat: 0, entries: 1, message: 2 } as const
const entriesHead = Buffer.from([itemType.entries])
const messageHead = Buffer.from([itemType.message])

/** More entries than fit into one append, each of which has a dozen bytes at the least. */
const entriesMax = 1024 * 1024

export function newAppendEncoder(): StreamEncoder {
  let term = 0
  let index = 0
  return {
    heartbeat: Buffer.from([itemType.heartbeat]),
    encode(message) {
      const { entries } = message
      const goesOn =
        message.index === index && message.logTerm === term && message.term === message.logTerm
      if (!goesOn) {
        term = message.term
        index = entries.at(-1)?.Index ?? message.index
        return [messageHead, ...framed(message)]
      }
      index += entries.length
      const pieces: Uint8Array[] = [entriesHead, encodeUint64(entries.length)]
      for (const entry of entries) pieces.push(...entryItem(entry))
      pieces.push(encodeUint64(message.commit))
      return pieces
    },
  }
}

/** Written by hand, because every write to the store passes through, once for each follower. */
function entryItem(entry: Entry): Uint8Array[] {
  const head = Buffer.allocUnsafe(8 + prefixRoomBytes)
  const headEnd = writeEntryHead(head, 8, entry)
  const data = entry.Data ?? noBytes
  head.writeUInt32BE(0, 0)
  head.writeUInt32BE(headEnd - 8 + data.length, 4)
  return [head.subarray(0, headEnd), data]
}

const noBytes = Buffer.alloc(0)

/** The two ends of a connection, as seen from the reader; items of type 1 do not name them. */
export interface Ends {
  from: bigint
  to: bigint
}

/** @throws on bytes that are no item: nothing after them can be read either */
export function* parseAppends(ends: Ends, onMessage: (message: Message) => void): ByteParser {
  let term = 0
  let index = 0
  for (;;) {
    const [type] = yield 1
    if (type === itemType.heartbeat) continue
    if (type === itemType.entries) {
      const entries = yield* parseEntries()
      const commit = yield* uint64(Number.MAX_SAFE_INTEGER)
      onMessage(append(ends, { term, index, entries, commit }))
      index += entries.length
    } else if (type === itemType.message) {
      const message = decodeMessage(yield* lengthPrefixed(itemBytesMax))
      term = message.term
      index = message.entries.at(-1)?.Index ?? message.index
      onMessage(message)
    } else {
      throw new Error(`failed to parse type ${type} in msgappv2 stream`)
    }
  }
}

function* parseEntries(): Generator<number, Entry[], Buffer> {
  const count = yield* uint64(entriesMax)
  const entries: Entry[] = []
  for (let left = itemBytesMax; entries.length < count; ) {
    const bytes = yield* lengthPrefixed(left)
    left -= bytes.length
    entries.push(Entry.decode(bytes))
  }
  return entries
}

function append(
  { from, to }: Ends,
  { term, index, entries, commit }: Pick<Message, 'term' | 'index' | 'entries' | 'commit'>,
): Message {
  return {
    type: MessageType.MsgApp,
    to,
    from,
    term,
    logTerm: term,
    index,
    entries,
    commit,
    reject: false,
    rejectHint: 0,
  }
}
