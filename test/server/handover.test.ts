// Who is handed the leadership when a leader stops.
import { describe, expect, test } from 'vitest'
import type { ProgressView } from '../../src/raft/raw-node.js'
import { successor } from '../../src/server/handover.js'

interface Other {
  id: bigint
  isLearner?: boolean
  /** Clock time since when it is connected. */
  since?: number
  match?: number
  state?: ProgressView['state']
}

function successorAmong(...others: Other[]): bigint | undefined {
  const records = [{ id: 1n }, ...others].map(({ id, isLearner = false }: Other) => {
    return { id, isLearner, name: '', peerUrls: [], clientUrls: [] }
  })
  const membership = { list: () => records }
  const transport = { activeSince: (id: bigint) => others.find((one) => one.id === id)?.since }
  const leader = [1n, { match: 9, state: 'replicate' as const }] as const
  const followers = others.map(({ id, match = 0, state = 'probe' }) => {
    return [id, { match, state }] as const
  })
  return successor({ memberId: 1n, membership, transport }, new Map([leader, ...followers]))
}

describe('the successor of a leader', () => {
  test('is the voter that has been connected longest', () => {
    const longest = { id: 3n, since: 10 }
    expect(successorAmong({ id: 2n, since: 20 }, longest, { id: 4n, since: 30 })).toBe(3n)
  })

  test('is no learner', () => {
    const learner = { id: 2n, since: 10, isLearner: true }
    expect(successorAmong(learner, { id: 3n, since: 20 })).toBe(3n)
    expect(successorAmong({ ...learner, state: 'replicate', match: 9 })).toBeUndefined()
  })

  test('is of those without streams the one that holds most of the log', () => {
    const behind = { id: 2n, match: 7, state: 'replicate' } as const
    const ahead = { id: 3n, match: 8, state: 'replicate' } as const
    expect(successorAmong(behind, ahead)).toBe(3n)
    expect(successorAmong(behind, ahead, { id: 4n, since: 20 })).toBe(4n)
  })

  test('is nobody where nobody answers', () => {
    expect(successorAmong()).toBeUndefined()
    expect(successorAmong({ id: 2n }, { id: 3n, match: 9, state: 'probe' })).toBeUndefined()
  })
})
