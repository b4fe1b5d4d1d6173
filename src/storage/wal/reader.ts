// reader.ts: what the records of a log say together: whose it is, its state, its entries.
//
// An entry replaces the one of the same index and all after it, because a new leader may
// overwrite what was never committed. Otherwise indexes must follow each other without a gap.
// The checksums do not cover the type of a record. A record read as another type makes a state
// or a term that goes back, or an entry in place of a committed one: all taken for damage.
import { Entry, HardState } from '../../api/gen/raft.js'
import { Metadata, SnapshotRecord } from '../../api/gen/wal.js'
import { CorruptionError } from '../errors.js'
import { type LogRecord, RecordType, type SnapshotPosition, type WalMetadata } from './record.js'
import { type SegmentEnd, scanSegment } from './scan.js'
import { listSegments, type Segment, type WalOptions } from './segment.js'

export type { SnapshotPosition, WalMetadata } from './record.js'
export type { WalOptions } from './segment.js'

/** A log read up to its last good record. */
export interface LogContent {
  metadata: WalMetadata
  hardState: HardState
  /** After the snapshot that was asked for, contiguous. */
  entries: Entry[]
  /** All snapshot records that were read, in file order. */
  snapshots: SnapshotPosition[]
  /** Index of the last entry in the log, or of the snapshot if that is further. */
  lastIndex: number
  /** All that are in the directory, oldest first. */
  segments: Segment[]
  last: Segment
  /** How the last segment ends. */
  end: SegmentEnd
}

/**
 * Positions of all snapshot records whose entry is known to be committed, ascending. Reads the
 * whole log and verifies every checksum in it; a torn tail is no error here.
 */
export async function walSnapshots(dir: string, options: WalOptions): Promise<SnapshotPosition[]> {
  const content = await readLog(dir, undefined, options)
  const { commit } = content.hardState
  return content.snapshots
    .filter(({ index }) => index <= commit)
    .sort((a, b) => a.index - b.index || a.term - b.term)
}

/**
 * Reads the log after the snapshot `from`. Without one the whole log is checked, from the first
 * segment that is still there, and no entries are kept.
 */
export async function readLog(
  dir: string,
  from: SnapshotPosition | undefined,
  options: WalOptions,
): Promise<LogContent> {
  const segments = await listSegments(dir, options)
  const replay = new Replay(from)
  let end: SegmentEnd = { offset: 0, torn: undefined, crc: 0 }
  let last: Segment | undefined
  for (const segment of startingAt(dir, segments, from)) {
    const file = `${dir}/${segment.name}`
    const isLast = segment === segments.at(-1)
    const handle = await options.files.open(file, 'read')
    try {
      end = await scanSegment({ handle, file, isLast }, end.crc, (record, offset) => {
        replay.take(record, { file, offset })
      })
    } finally {
      await handle.close()
    }
    last = segment
  }
  if (last === undefined) throw missing(dir, 'no segment', 'a log')
  const at = { file: `${dir}/${last.name}`, offset: end.offset }
  return { ...replay.finish(at, end.torn !== undefined), segments, last, end }
}

/** Drops the segments before the one in which entry `from.index` + 1 is looked for. */
function startingAt(
  dir: string,
  all: readonly Segment[],
  from: SnapshotPosition | undefined,
): Segment[] {
  const start = from === undefined ? 0 : all.findLastIndex(({ index }) => index <= from.index)
  if (start < 0) {
    const first = all[0]?.name ?? 'no segment'
    throw missing(dir, first, `a segment that holds entry ${(from?.index ?? 0) + 1}`)
  }
  const segments = all.slice(start)
  segments.forEach((segment, at) => {
    const expected = (segments[0]?.sequence ?? 0) + at
    if (segment.sequence === expected) return
    throw missing(`${dir}/${segment.name}`, `sequence ${segment.sequence}`, `${expected}`)
  })
  return segments
}

interface Place {
  file: string
  offset: number
}

class Replay {
  readonly #from: SnapshotPosition | undefined
  readonly #entries: Entry[] = []
  readonly #snapshots: SnapshotPosition[] = []
  #metadata: { data: Buffer; value: WalMetadata } | undefined
  #hardState: HardState = { term: 0, vote: 0n, commit: 0 }
  /** Term of the entry at the snapshot's index, as the log has it so far. */
  #termAtFrom: number | undefined
  /** Index of the last entry read, of those that are not kept too. */
  #lastIndex = 0

  constructor(from: SnapshotPosition | undefined) {
    this.#from = from
  }

  take(record: LogRecord, place: Place): void {
    const { data } = record
    switch (record.type) {
      case RecordType.metadata:
        this.#takeMetadata(data, place)
        break
      case RecordType.entry:
        this.#takeEntry(
          decoded(() => Entry.decode(data), 'an entry', place),
          place,
        )
        break
      case RecordType.state:
        this.#takeState(
          decoded(() => HardState.decode(data), 'a state', place),
          place,
        )
        break
      case RecordType.snapshot:
        this.#takeSnapshot(
          decoded(() => SnapshotRecord.decode(data), 'a snapshot', place),
          place,
        )
        break
      default:
        throw corrupt(place, `record of type ${record.type}`, 'type 1 to 5')
    }
  }

  #takeMetadata(data: Buffer, place: Place): void {
    const { NodeID, ClusterID } = decoded(() => Metadata.decode(data), 'metadata', place)
    if (this.#metadata !== undefined && !this.#metadata.data.equals(data)) {
      throw corrupt(place, data.toString('hex'), `metadata ${this.#metadata.data.toString('hex')}`)
    }
    this.#metadata = { data, value: { nodeId: NodeID, clusterId: ClusterID } }
  }

  #takeState(state: HardState, place: Place): void {
    const { term, commit } = this.#hardState
    if (state.term < term) throw corrupt(place, `term ${state.term}`, `at least ${term}`)
    if (state.commit < commit) throw corrupt(place, `commit ${state.commit}`, `at least ${commit}`)
    this.#hardState = state
  }

  #takeEntry(entry: Entry, place: Place): void {
    const { commit } = this.#hardState
    if (entry.Index <= commit && commit <= this.#lastIndex) {
      throw corrupt(place, `entry ${entry.Index}`, `one after ${commit}, which was committed`)
    }
    this.#lastIndex = entry.Index
    if (this.#from === undefined) return
    const at = entry.Index - this.#from.index - 1
    if (at < 0) {
      // It replaces everything behind it, what would be kept too.
      this.#entries.length = 0
      this.#termAtFrom = at === -1 ? entry.Term : undefined
      return
    }
    if (at > this.#entries.length) {
      const next = this.#from.index + 1 + this.#entries.length
      throw corrupt(place, `entry ${entry.Index}`, `entry ${next} or one before it`)
    }
    const termBefore = this.#entries[at - 1]?.Term ?? this.#termAtFrom ?? 0
    if (entry.Term < termBefore)
      throw corrupt(place, `term ${entry.Term}`, `at least ${termBefore}`)
    this.#entries.length = at
    this.#entries.push(entry)
  }

  #takeSnapshot({ index, term }: SnapshotPosition, place: Place): void {
    this.#snapshots.push({ index, term })
    if (this.#from?.index !== index) return
    if (this.#from.term !== term) {
      throw corrupt(place, `snapshot ${index} of term ${term}`, `term ${this.#from.term}`)
    }
    // A leader sent it, because this log did not agree with it: it replaced the whole log.
    if (this.#termAtFrom !== term) {
      this.#entries.length = 0
      this.#lastIndex = index
    }
    this.#termAtFrom = term
  }

  /** `isTorn`: what follows will be cut off, so a missing part may be in there. */
  finish(end: Place, isTorn: boolean): Omit<LogContent, 'segments' | 'last' | 'end'> {
    if (this.#metadata === undefined) throw corrupt(end, 'the end', 'metadata')
    const from = this.#from
    if (from !== undefined && !this.#snapshots.some((at) => at.index === from.index)) {
      throw corrupt(end, 'the end', `a record of snapshot ${from.index}`)
    }
    const { commit } = this.#hardState
    const last = Math.max(from?.index ?? 0, this.#lastIndex)
    if (from !== undefined && commit > last) {
      const found = isTorn ? `a torn record after entry ${last}` : `the end after entry ${last}`
      throw corrupt(end, found, `entry ${commit}, which was committed`)
    }
    return {
      metadata: this.#metadata.value,
      hardState: this.#hardState,
      entries: this.#entries,
      snapshots: this.#snapshots,
      lastIndex: last,
    }
  }
}

function decoded<T>(decode: () => T, what: string, place: Place): T {
  try {
    return decode()
  } catch (cause) {
    throw new CorruptionError('wal', { ...place, expected: what, found: 'other bytes' }, cause)
  }
}

function corrupt(place: Place, found: string, expected: string): CorruptionError {
  return new CorruptionError('wal', { ...place, expected, found })
}

function missing(file: string, found: string, expected: string): CorruptionError {
  return new CorruptionError('wal', { file, offset: 0, expected, found })
}
