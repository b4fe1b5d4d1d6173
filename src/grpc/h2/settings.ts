// settings.ts: the payload of SETTINGS (RFC 9113 §6.5): entries of an id (2 bytes) and a value (4).
import { flood, protocolFault, sizeFault, windowFault } from './faults.js'
import { defaultWindowBytes, framePayloadMax, largest31 } from './frame-types.js'

const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

const entryBytes = 6

/** HTTP/2 has seven settings, extensions a few more; nobody has a reason to send hundreds. */
const entriesMax = 32

/** What a peer wants of us. */
export interface PeerSettings {
  readonly headerTableBytes: number
  /** The smallest of the frame's sizes, and of the one before it: the table was cut to that. */
  readonly headerTableBytesLeast: number
  readonly streamWindowBytes: number
  /** Of those that we open, at once. */
  readonly streamsMax: number
  /** It takes part in pushing, or would; a server may not. */
  readonly isPushing: boolean
}

export const unlimited = 2 ** 32 - 1

export const defaultPeerSettings: PeerSettings = {
  headerTableBytes: 4096,
  headerTableBytesLeast: 4096,
  streamWindowBytes: defaultWindowBytes,
  streamsMax: unlimited,
  isPushing: false,
}

/** The settings as they are after a frame; a later entry overrules an earlier one. */
export function settingsAfter(
  before: PeerSettings,
  bytes: Buffer,
  from: number,
  end: number,
): PeerSettings {
  const size = end - from
  if (size % entryBytes !== 0) throw sizeFault('SETTINGS', size)
  if (size > entriesMax * entryBytes) throw flood('settings')
  let { headerTableBytes, streamWindowBytes, streamsMax, isPushing } = before
  let headerTableBytesLeast = headerTableBytes
  for (let at = from; at < end; at += entryBytes) {
    const value = bytes.readUInt32BE(at + 2)
    switch (bytes.readUInt16BE(at)) {
      case settingId.headerTableSize:
        headerTableBytes = value
        headerTableBytesLeast = Math.min(headerTableBytesLeast, value)
        break
      case settingId.enablePush:
        if (value > 1) throw protocolFault(`ENABLE_PUSH ${value}`)
        isPushing = value === 1
        break
      case settingId.maxConcurrentStreams:
        streamsMax = value
        break
      case settingId.initialWindowSize:
        if (value > largest31) throw windowFault('new streams')
        streamWindowBytes = value
        break
      case settingId.maxFrameSize:
        if (value < framePayloadMax || value > 2 ** 24 - 1) {
          throw protocolFault(`MAX_FRAME_SIZE ${value}`)
        }
        break // larger frames than all take are of no use here
      default: // unknown, or a list of headers that is far longer than ours: to be ignored
    }
  }
  return { headerTableBytes, headerTableBytesLeast, streamWindowBytes, streamsMax, isPushing }
}

export interface OwnSettings {
  /** Of those that the peer opens, at once. `unlimited` is not said. */
  readonly streamsMax: number
  readonly streamWindowBytes: number
  readonly headerListBytesMax: number
}

export function settingsPayload(own: OwnSettings, side: 'client' | 'server'): Buffer {
  const entries: (readonly [id: number, value: number])[] = [
    [settingId.initialWindowSize, own.streamWindowBytes],
    [settingId.maxHeaderListSize, own.headerListBytesMax],
  ]
  if (side === 'client') entries.push([settingId.enablePush, 0])
  if (own.streamsMax < unlimited) entries.push([settingId.maxConcurrentStreams, own.streamsMax])
  const payload = Buffer.alloc(entries.length * entryBytes)
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * entryBytes)
    payload.writeUInt32BE(value, i * entryBytes + 2)
  })
  return payload
}
