// client.test.ts: what members ask each other, asked and answered by ours; protocol.test.ts has the
// real one on the other side.
import { describe, expect, test } from 'vitest'
import { EtcdError } from '../../../src/api/rpc-errors.js'
import {
  askVersion,
  getMembers,
  getVersion,
  leaseTimeToLive,
  peerHashKv,
  promoteMember,
  renewLease,
} from '../../../src/server/peer/client.js'
import type { PeerHandlers } from '../../../src/server/peer/transport.js'
import { clusterId, startEnd } from './ends.js'

const timeoutMs = 60_000
const nobody = 'http://127.0.0.1:1'
/** Above what a number of JavaScript holds exactly. */
const large = 2n ** 64n - 3n

const member = {
  id: large,
  peerUrls: ['http://127.0.0.1:2380', 'http://[::1]:2380'],
  isLearner: true,
  name: 'a <b> & "c"',
  clientUrls: ['http://127.0.0.1:2379'],
}
const bare = { id: 1n, peerUrls: ['http://h:1'], isLearner: false, name: '', clientUrls: [] }

const answering = (handlers: Partial<PeerHandlers>) => startEnd({ id: 1n, handlers })
const failing = (code: EtcdError['code']) => async (): Promise<never> => {
  throw new EtcdError(code)
}

describe('members', () => {
  test('come with the id of their cluster, all digits kept', async () => {
    await using end = await answering({ members: () => [bare, member] })
    const answer = await getMembers([nobody, end.url], { timeoutMs })
    expect(answer).toEqual({ clusterId, members: [bare, member] })
  })

  test('come from nobody when nobody answers', async () => {
    await expect(getMembers([nobody], { timeoutMs })).rejects.toThrow(
      /127\.0\.0\.1:1: .*ECONNREFUSED/,
    )
  })

  test('come in time or not at all', async () => {
    await using end = await startEnd({ id: 1n, handlers: { promote: () => new Promise(() => {}) } })
    await expect(promoteMember(end.url, 1n, { timeoutMs: 20 })).rejects.toThrow()
  })
})

test('versions are those of the member, by whichever URL it is reached', async () => {
  const version = { etcdserver: '3.7.1', etcdcluster: 'not_decided', storage: '3.7.0' }
  await using end = await answering({ version: () => version })
  expect(await getVersion(end.url, { timeoutMs })).toEqual(version)
  expect(await askVersion([nobody, end.url], timeoutMs)).toEqual(version)
  expect(await askVersion([nobody], timeoutMs)).toBeUndefined()
})

describe('a promotion', () => {
  test('gives the members after it', async () => {
    await using end = await answering({ promote: async (id) => [{ ...bare, id }] })
    expect(await promoteMember(end.url, large)).toEqual([{ ...bare, id: large }])
  })

  test.each(['memberNotFound', 'memberNotLearner', 'learnerNotReady'] as const)(
    'fails with the error of the leader: %s',
    async (code) => {
      await using end = await answering({ promote: failing(code) })
      await expect(promoteMember(end.url, 7n)).rejects.toEqual(new EtcdError(code))
    },
  )

  test('that fails in another way is no answer', async () => {
    await using end = await answering({ promote: failing('unhealthy') })
    await expect(promoteMember(end.url, 7n)).rejects.toThrow('500')
  })
})

describe('a lease', () => {
  const id = 0x7fffffffffffff01n

  test('is renewed by the leader', async () => {
    await using end = await answering({
      renewLease: async (asked) => (asked === id ? 60 : undefined),
    })
    expect(await renewLease(end.url, id)).toBe(60)
    expect(await renewLease(end.url, 1n)).toBeUndefined()
  })

  test('has what remains of it at the leader', async () => {
    const keys = [Buffer.from('a'), Buffer.from([0xff, 0])]
    await using end = await answering({
      leaseTimeToLive: async (asked, withKeys) =>
        asked === id
          ? { ttlSeconds: 60, remainingSeconds: -1, keys: withKeys ? keys : [] }
          : undefined,
    })
    const lease = { ttlSeconds: 60, remainingSeconds: -1 }
    expect(await leaseTimeToLive(end.url, id, true)).toEqual({ ...lease, keys })
    expect(await leaseTimeToLive(end.url, id, false)).toEqual({ ...lease, keys: [] })
    expect(await leaseTimeToLive(end.url, 1n, true)).toBeUndefined()
  })

  test.each(['notLeader', 'timeoutWaitAppliedIndex'] as const)(
    'is not known where the leader is not: %s',
    async (code) => {
      await using end = await answering({
        renewLease: failing(code),
        leaseTimeToLive: failing(code),
      })
      await expect(renewLease(end.url, id)).rejects.toEqual(new EtcdError(code))
      await expect(leaseTimeToLive(end.url, id, true)).rejects.toEqual(new EtcdError(code))
    },
  )
})

describe('a hash', () => {
  test('has all its numbers, zeros too', async () => {
    await using end = await answering({
      hashKv: (revision) => ({
        revision,
        hash: 2 ** 32 - 1,
        compactRevision: revision,
        hashRevision: 0,
      }),
    })
    const hash = 2 ** 32 - 1
    for (const revision of [98, 0]) {
      const expected = { revision, hash, compactRevision: revision, hashRevision: 0 }
      expect(await peerHashKv(end.url, revision)).toEqual(expected)
    }
  })

  test.each(['compacted', 'futureRevision'] as const)('is refused: %s', async (code) => {
    await using end = await answering({
      hashKv: () => {
        throw new EtcdError(code)
      },
    })
    await expect(peerHashKv(end.url, 5)).rejects.toEqual(new EtcdError(code))
  })
})
