// settled-members.test.ts: the newest .snap file and the log behind it say who is a member, the
// database only what else is known of them.
import { expect, test } from 'vitest'
import {
  ConfChange,
  ConfChangeType,
  ConfState,
  type Entry,
  EntryType,
} from '../../../src/api/gen/raft.js'
import { addMember, Membership } from '../../../src/server/membership/membership.js'
import { settleMembers } from '../../../src/server/membership/settled-members.js'
import { encodeV2Request } from '../../../src/server/membership/v2-request.js'
import type { MemberRecord } from '../../../src/storage/schema.js'

const member = (id: bigint, more: Partial<MemberRecord> = {}): MemberRecord => ({
  ...{ id, name: '', peerUrls: [`http://10.0.0.${id}:2380`], clientUrls: [], isLearner: false },
  ...more,
})

const snapOf = (members: readonly MemberRecord[]) => ({
  ...{ index: 3, term: 1, tree: { members, removed: [] } },
  confState: ConfState.fromPartial({
    voters: members.filter(({ isLearner }) => !isLearner).map(({ id }) => id),
    learners: members.filter(({ isLearner }) => isLearner).map(({ id }) => id),
  }),
})

function database(members: readonly MemberRecord[], removed: readonly bigint[] = []): Membership {
  const membership = new Membership(1n)
  membership.restore(members, removed)
  return membership
}

const entryOf = (change: ConfChange, at: number): Entry => ({
  ...{ Type: EntryType.EntryConfChange, Term: 1, Index: 4 + at },
  Data: Buffer.from(ConfChange.encode(change).finish()),
})

const removal = (id: bigint): ConfChange => ({
  ...{ id: 9n, type: ConfChangeType.ConfChangeRemoveNode, node_id: id, context: Buffer.alloc(0) },
})

test('members of another cluster, left by a restore of etcd 3.4, are forgotten', () => {
  const membership = database([member(7n), member(8n)], [1n, 6n])
  settleMembers(membership, snapOf([member(1n)]), [])
  expect(membership.list()).toEqual([member(1n)])
  expect(membership.removedIds()).toEqual([6n])
})

test('what the database knows of a member is kept', () => {
  const published = member(1n, { name: 'a', clientUrls: ['http://10.0.0.1:2379'] })
  const membership = database([published])
  settleMembers(membership, snapOf([member(1n)]), [])
  expect(membership.list()).toEqual([published])
})

test('changes behind the file count, refused ones do not', () => {
  const members = [1n, 2n, 4n].map((id) => member(id))
  const membership = database([...members, member(9n)], [3n])
  const changes = [
    removal(3n),
    addMember(9n, member(4n)),
    addMember(9n, member(5n, { peerUrls: member(1n).peerUrls })),
    removal(6n),
  ]
  settleMembers(membership, snapOf([1n, 2n, 3n].map((id) => member(id))), changes.map(entryOf))
  expect(membership.list()).toEqual(members)
  expect(membership.removedIds()).toEqual([3n])
})

test('without a .snap file, or with one that names nobody, the database is right', () => {
  for (const snap of [undefined, snapOf([])]) {
    const membership = database([member(1n)], [2n])
    settleMembers(membership, snap, [])
    expect(membership.list()).toEqual([member(1n)])
    expect(membership.removedIds()).toEqual([2n])
  }
})

test('a version that the database lacks is that of the log, else of the .snap file', () => {
  const snap = snapOf([member(1n)])
  const agreed = { ...snap, tree: { ...snap.tree, version: '3.4.0' } }
  const written = (Index: number, version: string): Entry => ({
    ...{ Type: EntryType.EntryNormal, Term: 1, Index },
    Data: encodeV2Request(5n, '/0/version', version),
  })
  const cases = [
    { before: undefined, snap, applied: [], after: undefined },
    { before: undefined, snap: agreed, applied: [], after: '3.4.0' },
    { before: undefined, snap: agreed, applied: [written(4, '3.5.0')], after: '3.5.0' },
    { before: undefined, snap: undefined, applied: [written(4, '3.4.0')], after: '3.4.0' },
    { before: '3.6.0', snap: agreed, applied: [], after: '3.6.0' },
  ]
  for (const { before, snap, applied, after } of cases) {
    const membership = database([member(1n)])
    membership.agreedVersion = before
    settleMembers(membership, snap, applied)
    expect(membership.agreedVersion).toBe(after)
  }
})
