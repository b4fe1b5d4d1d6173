// applier.test.ts: membership changes out of the log, at first and again after a restart.
import { expect, test } from 'vitest'
import { ConfChange, type Entry, EntryType } from '../../src/api/gen/raft.js'
import { systemClock } from '../../src/platform/clock.js'
import { Applier, type ApplierParts, type Outcome } from '../../src/server/apply.js'
import { addMember, Membership } from '../../src/server/membership/membership.js'
import { Figures } from '../../src/server/metrics/figures.js'
import { Wait } from '../../src/server/wait.js'

const url = 'http://127.0.0.1:2380'
const member = (id: bigint) => ({
  id,
  peerUrls: [url],
  isLearner: false,
  name: '',
  clientUrls: [],
})

/** The second one has the URL of the first, so every member refuses it. */
const entries: Entry[] = [1n, 2n].map((id, at) => ({
  Type: EntryType.EntryConfChange,
  Term: 1,
  Index: at + 1,
  Data: Buffer.from(ConfChange.encode(addMember(0n, member(id))).finish()),
}))

/** Ids that raft was told of by an applier whose state contains everything up to `index`. */
function told(membership: Membership, index: number): bigint[] {
  const ids: bigint[] = []
  const parts: Partial<ApplierParts> = {
    membership,
    wait: new Wait<Outcome>(),
    applyConfChange: ({ node_id }) => ids.push(node_id),
    onConfChange: () => {},
    figures: new Figures(systemClock, 100),
  }
  // Nothing but membership changes comes out of this log, so the rest is never asked for.
  const applier = new Applier(parts as ApplierParts, { index, term: 1 }, new Membership(9n))
  applier.apply(entries)
  return ids
}

test('a change that was refused reaches raft without effect, after a restart too', () => {
  const membership = new Membership(9n)
  expect(told(membership, 0)).toEqual([1n, 0n])
  expect(membership.list().map(({ id }) => id)).toEqual([1n])
  expect(told(membership, 2)).toEqual([1n, 0n])
  expect(membership.list().map(({ id }) => id)).toEqual([1n])
})
