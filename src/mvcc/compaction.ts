// compaction.ts: removal of what no read can reach any more, a slice at a time.
//
// compact(6) moves the compact revision at once; the records go later:
//
//     before   a: 2 4 6† 9    b: 3       records   [a2 b3 a4 a6† a9]
//     after    a: 6† 9        b: 3       records   [b3 a6† a9]           next time a6† goes too
//
// A job walks the records from the oldest to the newest while writes go on appending to the same
// list; what it keeps collects in a new list, which takes the place of the old one when the walk
// has caught up. Whoever iterates the old list keeps an unchanged view. On its way the job computes
// the hash at its revision, which HashKV answers from then on; but only if the compaction before
// was through when this one was asked for, as in etcd. One that a restart goes on with may find a
// part of its records gone, and its hash would accuse this member of corruption.
import { CompactionHashes, RevisionHasher } from './hash.js'
import type { Stored } from './key-index.js'
import { take } from './slab.js'
import { itemBytes, type StoreState } from './store-state.js'

/** Records a step looks at by default: a millisecond or two, so that requests get their turn. */
export const recordsPerStep = 2000

export class Compactor {
  readonly hashes = new CompactionHashes()
  readonly #state: StoreState
  readonly #jobs: CompactionJob[] = []
  #finished: number
  #holders = 0

  constructor(state: StoreState, finishedRevision: number) {
    this.#state = state
    this.#finished = finishedRevision
  }

  /** -1: none. Invariant: finishedRevision <= scheduledRevision. */
  get scheduledRevision(): number {
    return this.#jobs.at(-1)?.revision ?? this.#finished
  }

  /** Everything that a compaction at this revision removes is gone. */
  get finishedRevision(): number {
    return this.#finished
  }

  /** `isResumed`: an earlier life of the member has begun with it. */
  schedule(revision: number, { isResumed = false } = {}): void {
    const previous = this.scheduledRevision
    const leavesHash = !isResumed && this.#jobs.length === 0
    this.#jobs.push(new CompactionJob(this.#state, { revision, previous, leavesHash }))
  }

  /** Nothing is removed until the function that this returns is called. */
  hold(): () => void {
    this.#holders++
    return () => {
      this.#holders--
    }
  }

  /** One slice of work; false when nothing is left to do. */
  step(count: number): boolean {
    const job = this.#jobs[0]
    if (job === undefined) return false
    if (this.#holders > 0) return true
    if (job.step(count)) {
      this.#jobs.shift()
      this.#finished = job.revision
      if (job.leavesHash) this.hashes.add(job.hasher.result())
    }
    return this.#jobs.length > 0
  }
}

interface JobOptions {
  revision: number
  /** Compact revision before; -1: none. */
  previous: number
  leavesHash: boolean
}

class CompactionJob {
  readonly revision: number
  readonly leavesHash: boolean
  readonly hasher: RevisionHasher
  readonly #state: StoreState
  readonly #kept: Stored[] = []
  #next = 0

  constructor(state: StoreState, { revision, previous, leavesHash }: JobOptions) {
    this.#state = state
    this.revision = revision
    this.leavesHash = leavesHash
    this.hasher = new RevisionHasher({ hashRevision: revision, compactRevision: previous })
  }

  /** Looks at that many records; true when the last one was among them. */
  step(count: number): boolean {
    const { records } = this.#state
    const end = Math.min(this.#next + count, records.length)
    // Below the length, so there is one.
    for (; this.#next < end; this.#next++) this.#visit(records[this.#next] as Stored)
    if (end < records.length) return false
    this.#state.records = this.#kept
    return true
  }

  #visit(record: Stored): void {
    if (record.main > this.revision) {
      this.#keep(record)
      return
    }
    const { index } = record
    index.compact(this.revision)
    const isKept = index.oldest === record
    this.hasher.add(record, isKept)
    if (isKept) this.#keep(record)
    else this.#drop(record)
  }

  #keep(record: Stored): void {
    this.#kept.push(record)
    const { slab } = this.#state
    if (!record.isInSparseBlock || slab.isFilling(record.home)) return
    const block = slab.blockFor(record.size)
    record.moveTo(block, take(block, record.size))
  }

  #drop(record: Stored): void {
    record.release()
    this.#state.bytes -= itemBytes(record)
    const { index } = record
    // Another index may stand in the tree by now: the key was written again after it was removed.
    if (index.isEmpty && this.#state.tree.get(index.key) === index)
      this.#state.tree.remove(index.key)
  }
}
