// How long a cluster is without a leader that was cut off, counted in ticks: the follower that has
// drawn the shorter time asks for votes when it is over and wins, so it is less than two election
// timeouts (raft §5.2). All draws are tried; with equal ones the votes may split.
import { expect, test } from 'vitest'
import { emptyConfState } from '../../src/raft/storage.js'
import { Member } from './member.js'

const electionTicks = 10
const draws = Array.from({ length: electionTicks }, (_, draw) => draw)

/** Three members of which the first leads, and all have heard of it this tick. */
function ledByFirst(second: number, third: number): [Member, Member, Member] {
  const confState = { ...emptyConfState(), voters: [1n, 2n, 3n] }
  const members = [0, second, third].map((draw, at) => {
    const settings = { electionTicks, checkQuorum: true, preVote: true, random: () => draw }
    return new Member(BigInt(at + 1), { confState, index: 2 }, settings)
  }) as [Member, Member, Member]
  members[0].node.campaign()
  settle(members)
  // Its next heartbeat is what the others count from.
  members[0].node.tick()
  settle(members)
  return members
}

/** Delivers everything among these members until nobody has anything to do. */
function settle(members: readonly Member[]): void {
  let isQuiet = false
  while (!isQuiet) {
    isQuiet = true
    for (const member of members) {
      if (!member.node.hasReady()) continue
      isQuiet = false
      const ready = member.node.ready()
      member.save(ready)
      member.apply(ready)
      for (const message of ready.messages) {
        members.find(({ id }) => id === message.to)?.node.step(message)
      }
    }
  }
}

const pairs = draws.flatMap((second) =>
  draws.filter((third) => third !== second).map((third) => [second, third] as const),
)

test('two that lose their leader have another one in less than two election timeouts', () => {
  for (const [second, third] of pairs) {
    const [, ...rest] = ledByFirst(second, third)
    expect(rest.map(({ node }) => node.status().leader)).toEqual([1n, 1n])
    let ticks = 0
    while (!rest.some(({ node }) => node.role === 'leader')) {
      for (const { node } of rest) node.tick()
      settle(rest)
      ticks++
    }
    expect(ticks).toBe(electionTicks + Math.min(second, third))
    expect(ticks).toBeLessThan(2 * electionTicks)
    const winner = second < third ? 2n : 3n
    expect(rest.map(({ node }) => node.status().leader)).toEqual([winner, winner])
    // What is proposed now is committed: the larger part serves.
    const leader = rest.find(({ id }) => id === winner)
    expect(leader?.node.propose(Buffer.from('x'))).toBe(true)
    settle(rest)
    for (const { applied } of rest) expect(applied.at(-1)).toContain('"x"')
  }
})

test('a leader that is cut off stops leading in less than two election timeouts', () => {
  const [first] = ledByFirst(0, 1)
  let ticks = 0
  while (first.node.role === 'leader') {
    first.node.tick()
    settle([first])
    ticks++
  }
  expect(ticks).toBeLessThan(2 * electionTicks)
})
