// message-stream.ts: raft messages as bytes, and the stream that carries every kind of them:
//
//     u64 BE length, Message, u64 BE length, Message, ...
//
// Messages are written as etcd 3.4 and 3.5 write them: every scalar even when it is zero, and a
// snapshot without content where there is none. All versions read that. A message from 0 to 0 is a
// sign of life that never reaches raft.
import { Message, MessageType, Snapshot } from '../../api/gen/raft.js'
import { encodeUint64 } from '../../storage/schema.js'
import { type ByteParser, itemBytesMax, lengthPrefixed } from './byte-parser.js'

/** Turns messages into the bytes of one stream; what it writes may depend on what it wrote. */
export interface StreamEncoder {
  /** The pieces of one item, in order. */
  encode(message: Message): Uint8Array[]
  /** What is sent when there is nothing to say. */
  readonly heartbeat: Uint8Array
}

const noSnapshot = Snapshot.fromPartial({ metadata: { conf_state: {} } })

/** A message as it stands alone, in the body of a POST. */
export function encodeMessage(message: Message): Uint8Array {
  const snapshot = message.snapshot ?? noSnapshot
  return Message.encode({ ...message, snapshot }).finish()
}

/** Reads a message; the stub that stands for no snapshot is taken off again. @throws */
export function decodeMessage(bytes: Buffer): Message {
  const message = Message.decode(bytes)
  if (message.type !== MessageType.MsgSnap) message.snapshot = undefined
  return message
}

export function framed(message: Message): Uint8Array[] {
  const bytes = encodeMessage(message)
  return [encodeUint64(bytes.length), bytes]
}

const linkHeartbeat = Message.fromPartial({ type: MessageType.MsgHeartbeat, to: 0n, from: 0n })

function isLinkHeartbeat({ type, from, to }: Message): boolean {
  return type === MessageType.MsgHeartbeat && from === 0n && to === 0n
}

export function newMessageEncoder(): StreamEncoder {
  return { encode: framed, heartbeat: Buffer.concat(framed(linkHeartbeat)) }
}

/** @throws on bytes that are no message: nothing after them can be read either */
export function* parseMessages(onMessage: (message: Message) => void): ByteParser {
  for (;;) {
    const message = decodeMessage(yield* lengthPrefixed(itemBytesMax))
    if (!isLinkHeartbeat(message)) onMessage(message)
  }
}
