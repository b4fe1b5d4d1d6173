// What of the log stays in memory: enough for followers that lag a little, and no more, however
// many entries pass, and however large.
import { expect, test } from 'vitest'
import { type Entry, EntryType } from '../../src/api/gen/raft.js'
import { MemoryStorage } from '../../src/raft/storage.js'
import { trimLog } from '../../src/server/log-trimmer.js'
import { Membership } from '../../src/server/membership/membership.js'

const entry = (index: number): Entry => ({
  ...{ Term: 1, Index: index, Type: EntryType.EntryNormal },
  Data: Buffer.from(`entry ${index}`),
})

function membershipOf(count: number): Membership {
  const membership = new Membership(1n)
  const members = Array.from({ length: count }, (_, at) => ({
    ...{ id: BigInt(at + 1), name: `m${at + 1}`, isLearner: false },
    ...{ peerUrls: [`http://m${at + 1}:2380`], clientUrls: [] },
  }))
  membership.restore(members, [])
  return membership
}

test.each([
  { members: 1, catchUpEntries: 5000, kept: 100 },
  { members: 1, catchUpEntries: 10, kept: 10 },
  { members: 3, catchUpEntries: 5000, kept: 5000 },
  { members: 3, catchUpEntries: 500, kept: 500 },
])(
  '$members members with $catchUpEntries entries to catch up keep $kept to twice as many',
  ({ members, catchUpEntries, kept }) => {
    const log = new MemoryStorage()
    const membership = membershipOf(members)
    let [least, most] = [Number.POSITIVE_INFINITY, 0]
    for (let index = 1; index <= 20_000; index++) {
      log.append([entry(index)])
      trimLog(log, index, membership, catchUpEntries)
      const size = log.lastIndex() - log.firstIndex() + 1
      if (index >= kept) least = Math.min(least, size)
      most = Math.max(most, size)
    }
    expect({ least, most }).toEqual({ least: kept, most: 2 * kept })
    // The term before the first entry anchors an append; a snapshot stands for what is gone.
    expect(log.term(log.firstIndex() - 1)).toBe(1)
    expect(log.snapshot()?.metadata?.index).toBeGreaterThanOrEqual(log.firstIndex() - 1)
  },
)

const mebibyte = 2 ** 20

test.each([
  { members: 1, mebibytes: 1 },
  { members: 3, mebibytes: 64 },
])('$members members keep large entries of $mebibytes MiB to twice as much', (each) => {
  const log = new MemoryStorage()
  const membership = membershipOf(each.members)
  const Data = Buffer.alloc(100 * 1024)
  const kept = each.mebibytes * mebibyte
  let [least, most] = [Number.POSITIVE_INFINITY, 0]
  for (let index = 1; index <= 3000; index++) {
    trimLog(log, index - 1, membership, 5000)
    if (index > 1 + kept / Data.length) least = Math.min(least, log.bytes)
    log.append([{ ...entry(index), Data }])
    most = Math.max(most, log.bytes)
  }
  expect(log.lastIndex()).toBe(3000)
  expect(least).toBeGreaterThan(kept - 2 * Data.length)
  expect(most).toBeLessThan(2 * kept + 2 * Data.length)
})

test('what is not applied stays, however large it is', () => {
  const log = new MemoryStorage()
  const Data = Buffer.alloc(mebibyte)
  for (let index = 1; index <= 500; index++) log.append([{ ...entry(index), Data }])
  const firsts = [0, 1, 300, 499].map((applied) => {
    trimLog(log, applied, membershipOf(3), 5000)
    return log.firstIndex()
  })
  // 64 MiB with what each counts for besides; before, all that is applied has to go.
  expect(firsts).toEqual([1, 2, 301, 438])
  expect(log.snapshot()?.metadata?.index).toBe(499)
})
