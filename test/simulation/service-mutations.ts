// service-mutations.ts: mistakes in what stands on top of the log: leases and watchers.
import { Lessor } from '../../src/lease/lessor.js'
import { WatchHub } from '../../src/mvcc/watch-hub.js'
import { WatchStream } from '../../src/mvcc/watch-stream.js'
import { LeaderLeases } from '../../src/server/leader-leases.js'
import { Node } from '../../src/server/node.js'
import type { Mutation } from './mutation.js'
import { lateRevocation } from './plots.js'
import { replace } from './replace.js'

export const serviceMutations: readonly Mutation[] = [
  {
    name: 'a new leader takes leases for run out',
    install: () =>
      replace(Lessor.prototype, 'promote', (original) => {
        return function (this: Lessor) {
          original.call(this, -10_000)
        }
      }),
  },
  {
    name: 'a renewal is answered and forgotten',
    install: () =>
      replace(Lessor.prototype, 'renew', () => {
        return async function (this: Lessor, id) {
          return this.timeToLive(id)?.ttlSeconds
        }
      }),
  },
  {
    name: 'a leader that was replaced renews a lease by its own clock',
    isRare: true,
    install: () =>
      replace(LeaderLeases.prototype, 'renewHere', (original) => {
        return function (this: LeaderLeases, id) {
          return withoutAsking(() => original.call(this, id))
        }
      }),
  },
  {
    name: 'the end of a lease that a former leader wanted is passed on to the next',
    isRare: true,
    plot: lateRevocation,
    install: () =>
      replace(Node.prototype, 'propose', (original) => {
        return function (this: Node, data, terms) {
          original.call(this, data, { ...terms, asLeader: false })
        }
      }),
  },
  {
    name: 'keys outlive their lease',
    install: () =>
      replace(Lessor.prototype, 'revoke', (original) => {
        return function (this: Lessor, id) {
          for (const key of this.timeToLive(id)?.keys ?? []) this.attach(0n, key)
          original.call(this, id)
        }
      }),
  },
  {
    name: 'no lease ever ends by itself',
    install: () => replace(Lessor.prototype, 'expired', () => () => []),
  },
  {
    name: 'a watcher that comes back misses a revision',
    install: () =>
      replace(WatchStream.prototype, 'create', (original) => {
        return function (this: WatchStream, request) {
          const startRevision = (request.startRevision ?? 0) + 1
          return original.call(this, { ...request, startRevision })
        }
      }),
  },
  {
    name: 'a watcher is not told what a snapshot from the leader brought',
    isRare: true,
    install: () => replace(WatchHub.prototype, 'storeRestored', () => () => {}),
  },
]

/** Reads that begin in `work` are taken for confirmed. */
function withoutAsking<T>(work: () => T): T {
  const putBack = replace(Node.prototype, 'linearizable', () => () => Promise.resolve())
  try {
    return work()
  } finally {
    putBack()
  }
}
