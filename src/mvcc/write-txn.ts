// write-txn.ts: one transaction of changes. All of them share the main revision after the store's;
// the sub-revision counts them. Reads inside see what was written so far. There is no way back:
// whoever writes has checked before that every operation can succeed.
import assert from 'node:assert'
import { KeyIndex, Stored } from './key-index.js'
import { keyValueSize, tombstoneSize, writeKeyValue, writeTombstone } from './key-value.js'
import { endText, keyText, type RangeAt, type RangeResult, readRange } from './range.js'
import { take } from './slab.js'
import { addToRecords, type StoreState } from './store-state.js'

export class WriteTxn {
  private readonly state: StoreState
  private readonly finish: (changes: readonly Stored[]) => void
  private readonly changes: Stored[] = []
  private readonly main: number
  private isOpen = true

  constructor(state: StoreState, finish: (changes: readonly Stored[]) => void) {
    this.state = state
    this.finish = finish
    this.main = state.revision + 1
  }

  get changed(): boolean {
    return this.changes.length > 0
  }

  /** The revision that an answer inside the transaction carries: raised by the first change. */
  get revision(): number {
    return this.changed ? this.main : this.main - 1
  }

  range(key: Buffer, end: Buffer | undefined, at: RangeAt = {}): RangeResult {
    return readRange(this.state, { key, end, current: this.revision }, at)
  }

  /** The key's state as the transaction sees it. */
  get(key: Buffer): Stored | undefined {
    return this.state.tree.get(keyText(key))?.at(this.main)
  }

  /** Copies the bytes. The lease (0: none) exists: the caller has checked, and tells the lessor. */
  put(key: Buffer, value: Buffer, lease: bigint): Stored {
    assert(this.isOpen && key.length > 0, 'put needs an open transaction and a key')
    const { tree } = this.state
    const text = keyText(key)
    const found = tree.get(text)
    const before = found?.latest?.tombstone === false ? found.latest : undefined
    const index = found ?? new KeyIndex(text)
    const record = this.record(index, before, { key, value, lease })
    index.append(record)
    if (found === undefined) tree.insert(index)
    else if (before === undefined) tree.adjustLive(text, 1)
    this.push(record)
    return record
  }

  /** Deletes what is there, in key order, and returns it as it was. */
  deleteRange(key: Buffer, end: Buffer | undefined): Stored[] {
    assert(this.isOpen, 'deleteRange needs an open transaction')
    const { tree } = this.state
    const found: Stored[] = []
    const collect = ({ latest }: KeyIndex) => {
      if (latest !== undefined && !latest.tombstone) found.push(latest)
      return true
    }
    const start = keyText(key)
    if (end !== undefined) tree.walk(start, endText(end), collect)
    else {
      const index = tree.get(start)
      if (index !== undefined) collect(index)
    }
    for (const before of found) this.bury(before)
    return found
  }

  /** Makes the changes the newest revision and tells the watchers. */
  end(): readonly Stored[] {
    assert(this.isOpen, 'a transaction ends once')
    this.isOpen = false
    this.finish(this.changes)
    return this.changes
  }

  private record(
    index: KeyIndex,
    before: Stored | undefined,
    { key, value, lease }: { key: Buffer; value: Buffer; lease: bigint },
  ): Stored {
    const main = this.main
    const createRevision = before?.createRevision ?? main
    const version = (before?.version ?? 0) + 1
    const fields = { createRevision, mod: main, version, lease }
    const size = keyValueSize(key.length, value.length, fields)
    const block = this.state.slab.blockFor(size)
    const offset = take(block, size)
    writeKeyValue(block.bytes, offset, { key, value, fields })
    const sub = this.changes.length
    const facts = { index, main, sub, tombstone: false, createRevision, version, lease }
    return new Stored(facts, { block, offset, size })
  }

  private bury(before: Stored): void {
    const { index, key } = before
    const size = tombstoneSize(key.length)
    const block = this.state.slab.blockFor(size)
    const offset = take(block, size)
    writeTombstone(block.bytes, offset, key)
    const revision = { main: this.main, sub: this.changes.length }
    const none = { tombstone: true, createRevision: 0, version: 0, lease: 0n }
    const record = new Stored({ index, ...revision, ...none }, { block, offset, size })
    index.append(record)
    this.state.tree.adjustLive(index.key, -1)
    this.push(record)
  }

  private push(record: Stored): void {
    this.changes.push(record)
    addToRecords(this.state, record)
  }
}
