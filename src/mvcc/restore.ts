// restore.ts: a store from the key bucket of a db file, read in revision order.
//
// The newest revision is the largest one seen, raised to the compact revisions, because a
// compaction may have removed the very last change. A record with no value at all is the marker
// which a restore with bumped revisions leaves: it stands for a revision and for no key.
import { CorruptionError } from '../storage/errors.js'
import { decodeRevision, type RevisionKey } from '../storage/schema.js'
import { KeyIndex, Stored } from './key-index.js'
import { type KeyValueFields, parseKeyValue, tombstoneSize } from './key-value.js'
import { keyText } from './range.js'
import { compareRevisions, type Revision } from './revision.js'
import { take } from './slab.js'
import { addToRecords, newStoreState, type StoreState } from './store-state.js'

/** One item of the key bucket. */
export interface BucketRecord {
  /** 17 bytes, 18 for a tombstone. */
  readonly key: Buffer
  readonly value: Buffer
}

export interface RestoreOptions {
  /** The db file, for the message that refuses it. */
  readonly source: string
  /** As the meta bucket has them; undefined: never compacted. */
  readonly scheduledCompactRevision?: number | undefined
  readonly finishedCompactRevision?: number | undefined
}

const marker: KeyValueFields = { createRevision: 0, mod: 0, version: 0, lease: 0n }

/** Builds the state record by record, so that a file can be read piece by piece. */
export class Restorer {
  readonly #state = newStoreState()
  readonly #options: RestoreOptions
  #last: Revision = { main: 0, sub: -1 }
  #count = 0

  constructor(options: RestoreOptions) {
    this.#options = options
  }

  /** Records come in revision order; their bytes are copied. */
  add({ key, value }: BucketRecord): void {
    const revision = decodeRevision(key)
    if (revision === undefined) throw this.#refusal(key, '17 or 18 bytes of a revision')
    if (compareRevisions(this.#last, revision) >= 0) throw this.#refusal(key, 'rising revisions')
    if (!addRecord(this.#state, revision, value)) {
      throw this.#refusal(key, 'a KeyValue that fits its revision')
    }
    this.#last = revision
    this.#count++
  }

  finish(): StoreState {
    const state = this.#state
    const { scheduledCompactRevision = -1, finishedCompactRevision = -1 } = this.#options
    const { main } = this.#last
    state.compactRevision = finishedCompactRevision
    state.revision = Math.max(1, main, finishedCompactRevision, scheduledCompactRevision)
    return state
  }

  /** `offset` counts records here: where they stand in the file is known to who reads it. */
  #refusal(key: Buffer, expected: string): CorruptionError {
    const { source: file } = this.#options
    const found = `record ${key.toString('hex')}`
    return new CorruptionError('key bucket of', { file, offset: this.#count, expected, found })
  }
}

/** False if the bytes are not what a store writes. */
function addRecord(
  state: StoreState,
  { main, sub, tombstone }: RevisionKey,
  value: Buffer,
): boolean {
  const parsed =
    value.length === 0 ? { key: value, fields: { ...marker, mod: main } } : parseKeyValue(value)
  if (parsed === undefined) return false
  const { fields } = parsed
  if (!tombstone && fields.mod !== main) return false
  if (tombstone && value.length !== tombstoneSize(parsed.key.length)) return false
  const text = keyText(parsed.key)
  const found = state.tree.get(text)
  const index = found ?? new KeyIndex(text)
  const wasLive = index.isLive
  const block = state.slab.blockFor(value.length)
  const offset = take(block, value.length)
  value.copy(block.bytes, offset)
  const { createRevision, version, lease } = fields
  const facts = { index, main, sub, tombstone, createRevision, version, lease }
  const record = new Stored(facts, { block, offset, size: value.length })
  index.append(record)
  addToRecords(state, record)
  if (found === undefined) state.tree.insert(index)
  else if (wasLive !== index.isLive) state.tree.adjustLive(text, wasLive ? -1 : 1)
  return true
}
