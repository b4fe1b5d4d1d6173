// How a member becomes ready: alone at once, in a cluster when the others know who it is.
import { expect, test } from 'vitest'
import { EtcdError, type EtcdErrorCode } from '../../../src/api/rpc-errors.js'
import { silentLog } from '../../../src/platform/log.js'
import { Membership } from '../../../src/server/membership/membership.js'
import { Publication } from '../../../src/server/membership/publication.js'
import type { MemberRecord } from '../../../src/storage/schema.js'
import { newManualClock } from '../../support/manual-clock.js'

const retryMs = 100
const urls = ['http://127.0.0.1:2379']

interface Asked {
  succeed(): void
  reject(error: Error): void
}

/** A member of a cluster of so many; its proposals wait for what the test makes of them. */
function publicationOf(members: number) {
  const membership = new Membership(1n)
  membership.restore(
    Array.from({ length: members }, (_, at) => member(at + 1)),
    [],
  )
  membership.agreedVersion = '3.7.0'
  const clock = newManualClock()
  const asked: Asked[] = []
  const propose = () =>
    new Promise<never>((resolve, reject) => {
      asked.push({ succeed: () => resolve(undefined as never), reject })
    })
  const proposer = { propose, proposeV2: propose }
  const publication = new Publication({
    memberId: 1n,
    name: 'm1',
    membership,
    proposer,
    clock,
    log: silentLog,
    retryMs,
  })
  return { membership, clock, asked, publication }
}

function member(id: number): MemberRecord {
  const peerUrls = [`http://127.0.0.1:${2380 + id}`]
  return { id: BigInt(id), peerUrls, isLearner: false, name: '', clientUrls: [] }
}

async function failLast(asked: Asked[], code: EtcdErrorCode): Promise<void> {
  asked.at(-1)?.reject(new EtcdError(code))
  await new Promise(setImmediate)
}

test('a publication that got lost is made again, though nothing else happens', async () => {
  const { asked, clock, publication } = publicationOf(3)
  publication.attempt(urls)
  await failLast(asked, 'timeout')
  publication.attempt(urls)
  expect(asked).toHaveLength(1)
  clock.advance(retryMs)
  expect(asked).toHaveLength(2)
  await failLast(asked, 'timeoutDueToLeaderFail')
  clock.advance(retryMs)
  expect(asked).toHaveLength(3)
  expect(publication.isReady).toBe(false)
  asked.at(-1)?.succeed()
  await publication.ready
  publication.attempt(urls)
  clock.advance(10 * retryMs)
  expect(asked).toHaveLength(3)
})

test('a member that stops does not try again', async () => {
  const { asked, clock, publication } = publicationOf(3)
  publication.attempt(urls)
  await failLast(asked, 'stopped')
  expect(clock.pending()).toEqual([])
})

test('a lone member is ready at once, and tells who comes later', async () => {
  const { membership, asked, publication } = publicationOf(1)
  publication.attempt(urls)
  await publication.ready
  expect(membership.member(1n)).toMatchObject({ name: 'm1', clientUrls: urls })
  expect(asked).toHaveLength(0)
  membership.restore([...membership.list(), member(2)], [])
  publication.attempt(urls)
  expect(asked).toHaveLength(1)
})
