// mutations.ts: members that are broken on purpose, each in one way that the design must not allow.
// Everything is bent from outside: what a member recovers is wrapped, or a method of a part is
// replaced while a simulation runs. A simulation that does not notice would not notice the same
// mistake in the code either.
import { type Entry, EntryType, type HardState, MessageType } from '../../src/api/gen/raft.js'
import { Log } from '../../src/raft/log.js'
import { RawNode } from '../../src/raft/raw-node.js'
import { Tracker } from '../../src/raft/tracker.js'
import { Applier } from '../../src/server/apply.js'
import { Node } from '../../src/server/node.js'
import type { Recovered } from '../../src/server/recovery/recover.js'
import type { Wal } from '../../src/storage/wal/writer.js'
import { FakeFiles } from '../support/fake-files.js'
import { erase } from './damage.js'
import type { Mutation } from './mutation.js'
import { lateAcknowledgements, lateVotes, oldEntry } from './plots.js'
import { replace, wrapped } from './replace.js'
import { serviceMutations } from './service-mutations.js'
import { SimulatedMember } from './simulated-member.js'

export const mutations: readonly Mutation[] = [
  {
    name: 'the log is never synced',
    bend: (own) =>
      bendWal(own, (wal) => (hardState, entries) => wal.save(hardState, entries, false)),
  },
  {
    name: 'a save is called done before it is',
    isRare: true,
    bend: (own) =>
      bendWal(own, (wal) => async (hardState, entries, sync) => {
        wal.save(hardState, entries, sync).catch(() => {})
      }),
  },
  {
    name: 'the vote is not saved',
    isRare: true,
    bend: (own) =>
      bendWal(own, (wal) => (hardState, entries, sync) => {
        return wal.save(withoutVote(hardState), entries, sync)
      }),
  },
  {
    name: 'renames and new files are never synced',
    install: () => replace(FakeFiles.prototype, 'syncDir', () => async () => {}),
  },
  {
    name: 'a restart forgets what the database contains',
    isRare: true,
    bend: (own) => {
      own.consistent = { index: 0, term: 0 }
    },
  },
  { name: 'a vote counts twice', install: countVotesTwice },
  {
    name: 'whoever asks first gets the vote, whatever is in its log',
    isRare: true,
    install: () => replace(Log.prototype, 'isUpToDate', () => () => true),
  },
  {
    name: 'a leader does not notice that there is a newer term',
    isRare: true,
    install: () =>
      replace(RawNode.prototype, 'step', (original) => {
        return function (this: RawNode, message) {
          const isNewer = this.status().role === 'leader' && message.term > this.term
          original.call(this, isNewer ? { ...message, term: this.term } : message)
        }
      }),
  },
  {
    name: 'an entry is committed when one member has it',
    install: () =>
      replace(Tracker.prototype, 'committed', () => {
        return function (this: Tracker) {
          return Math.max(...this.voters.map((id) => this.progress.get(id)?.match ?? 0))
        }
      }),
  },
  {
    name: 'an entry of an older term is committed by counting',
    plot: oldEntry,
    install: () =>
      replace(Log.prototype, 'commitCounted', (original) => {
        return function (this: Log, index) {
          return original.call(this, index, this.term(index) ?? 0)
        }
      }),
  },
  {
    name: 'votes of an older term are counted',
    plot: lateVotes,
    install: () => countOld(MessageType.MsgVoteResp),
  },
  {
    name: 'acknowledgements of an older term are counted',
    plot: lateAcknowledgements,
    install: () => countOld(MessageType.MsgAppResp),
  },
  {
    name: 'a follower applies what is not committed yet',
    isRare: true,
    install: () =>
      replace(Log.prototype, 'appendAfter', (original) => {
        return function (this: Log, previous, entries) {
          return original.call(this, previous, entries, previous.index + entries.length)
        }
      }),
  },
  {
    name: 'an append is taken without a look at what is before it',
    isRare: true,
    install: appendBlindly,
  },
  {
    name: 'a leader answers reads without asking the others',
    isRare: true,
    install: () =>
      replace(Node.prototype, 'linearizable', (original) => {
        return function (this: Node) {
          return this.isLeader ? Promise.resolve() : original.call(this)
        }
      }),
  },
  {
    name: 'a member answers reads from what it has',
    install: () => replace(Node.prototype, 'linearizable', () => () => Promise.resolve()),
  },
  { name: 'now and then an entry is not applied', install: skipEntries },
  {
    name: 'the name of a new segment is not synced',
    isRare: true,
    install: () =>
      replace(FakeFiles.prototype, 'syncDir', (original) => {
        return async function (this: FakeFiles, dir) {
          if (!dir.endsWith('/wal')) await original.call(this, dir)
        }
      }),
  },
  {
    name: 'what did not fit on a full disk counts as saved',
    isRare: true,
    bend: (own) =>
      bendWal(own, (wal) => (hardState, entries, sync) => {
        return wal.save(hardState, entries, sync).catch(ignoreFullDisk)
      }),
  },
  {
    name: 'a damaged record at the end of a log is taken for one that was never written',
    isRare: true,
    install: () =>
      replace(SimulatedMember.prototype, 'spoil', () => {
        return async function (this: SimulatedMember, place) {
          this.isDamaged = false
          await erase(this.files, place)
        }
      }),
  },
  ...serviceMutations,
]

function bendWal(recovered: Recovered, save: (wal: Wal) => Wal['save']): void {
  const { wal } = recovered
  recovered.wal = wrapped(wal, { save: save(wal) })
}

function ignoreFullDisk(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error
}

function withoutVote(hardState: HardState | undefined): HardState | undefined {
  return hardState && { ...hardState, vote: 0n }
}

/** Yes of an older term is taken as said now. */
function countOld(type: MessageType): () => void {
  return replace(RawNode.prototype, 'step', (original) => {
    return function (this: RawNode, message) {
      const isOld = message.type === type && !message.reject && message.term < this.term
      original.call(this, isOld ? { ...message, term: this.term } : message)
    }
  })
}

function countVotesTwice(): () => void {
  return replace(Tracker.prototype, 'recordVote', (original) => {
    return function (this: Tracker, id, granted) {
      const other = this.voters.find((each) => each !== id)
      if (granted && other !== undefined) original.call(this, other, true)
      return original.call(this, id, granted)
    }
  })
}

function appendBlindly(): () => void {
  return replace(Log.prototype, 'appendAfter', (original) => {
    return function (this: Log, previous, entries, commit) {
      const own = this.term(previous.index)
      const before = own === undefined ? previous : { index: previous.index, term: own }
      return original.call(this, before, entries, commit)
    }
  })
}

/** A different one on each member, or else nobody could tell. */
function skipEntries(): () => void {
  let count = 0
  return replace(Applier.prototype, 'apply', (original) => {
    return function (this: Applier, entries) {
      const isSkipped = ++count % 100 === 0
      const empty = (entry: Entry): Entry =>
        entry.Type === EntryType.EntryNormal ? { ...entry, Data: undefined } : entry
      original.call(this, isSkipped ? entries.map(empty) : entries)
    }
  })
}
