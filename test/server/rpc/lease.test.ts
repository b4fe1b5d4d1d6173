// The Lease service over a socket, with a clock that the test moves: what runs out, when, and
// what of its time a lease keeps over a restart.
import { expect, test } from 'vitest'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../../src/api/gen/rpc.js'
import type { Connection } from '../../../src/connection/connect.js'
import { connected } from '../../connection/connecting.js'
import { type EmbeddedOptions, startEmbedded } from '../../support/embedded.js'
import { newManualClock } from '../../support/manual-clock.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'

const bytes = (text: string): Buffer => Buffer.from(text)

async function started(options: EmbeddedOptions = {}) {
  const clock = newManualClock()
  const server = await startEmbedded({ storage: 'memory', clock, ...options })
  const client = await connected(server.endpoint)
  const put = (key: string, lease: string) => client.kv.put({ key: bytes(key), lease })
  return {
    clock,
    server,
    client,
    put,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Waits until the log has done what the clock has set off: a write comes behind it. */
const settled = ({ kv }: Connection) => kv.put({ key: bytes('settled') })

const keysOf = async ({ kv }: Connection) => {
  const { kvs } = await kv.range({ key: bytes('k'), range_end: bytes('l') })
  return kvs.map(({ key }) => key.toString())
}

test('keys go with their lease, at most half a second late, at one revision', async () => {
  await using at = await started()
  const { client, clock, put } = at
  await client.lease.leaseGrant({ ID: '1', TTL: '10' })
  await client.lease.leaseGrant({ ID: '2', TTL: '20' })
  for (const key of ['k2', 'k1', 'k3']) await put(key, '1')
  await put('k4', '2')
  await put('k3', '2')
  clock.advance(9_400)
  await settled(client)
  expect(await keysOf(client)).toEqual(['k1', 'k2', 'k3', 'k4'])
  expect(await client.lease.leaseTimeToLive({ ID: '1', keys: true })).toMatchObject({
    TTL: '0',
    grantedTTL: '10',
  })
  clock.advance(1_200)
  const { header } = await settled(client)
  expect(await keysOf(client)).toEqual(['k3', 'k4'])
  const revision = Number(header?.revision) - 1
  const events: string[] = []
  const history = { key: bytes('k'), range_end: bytes('l'), start_revision: String(revision) }
  for await (const answer of client.watch(history)) {
    events.push(...answer.events.map(({ kv }) => `${kv?.key}@${kv?.mod_revision}`))
    if (events.length > 0) break
  }
  expect(events).toEqual([`k1@${revision}`, `k2@${revision}`])
  expect(await client.lease.leaseTimeToLive({ ID: '1' })).toMatchObject({ TTL: '-1' })
})

test('a lease that is renewed lives on', async () => {
  await using at = await started()
  const { client, clock, put } = at
  const { ID } = await client.lease.leaseGrant({ TTL: '10' })
  await put('k', ID)
  for (let times = 0; times < 3; times++) {
    clock.advance(8_000)
    for await (const { TTL } of client.keepAlive(ID, { once: true })) expect(TTL).toBe('10')
  }
  expect(await keysOf(client)).toEqual(['k'])
  clock.advance(10_600)
  await settled(client)
  expect(await keysOf(client)).toEqual([])
})

test('the time of a lease is at least two seconds, and at most 9000000000', async () => {
  await using at = await started()
  const { lease } = at.client
  for (const TTL of ['0', '-5', '1', '2']) {
    expect(await lease.leaseGrant({ TTL })).toMatchObject({ TTL: '2', error: '' })
  }
  expect(await lease.leaseGrant({ TTL: '9000000000' })).toMatchObject({ TTL: '9000000000' })
})

test('ids that the server names are positive and all different', async () => {
  await using at = await started()
  const grants = await Promise.all(
    Array.from({ length: 300 }, () => at.client.lease.leaseGrant({ TTL: '60' })),
  )
  const ids = grants.map(({ ID }) => BigInt(ID))
  expect(new Set(ids).size).toBe(300)
  expect(ids.every((id) => id > 0n)).toBe(true)
  expect((await at.client.lease.leaseLeases()).leases).toHaveLength(300)
})

test('leases are listed by the time that they have left', async () => {
  await using at = await started()
  const { lease } = at.client
  for (const [ID, TTL] of [
    ['1', '300'],
    ['2', '100'],
    ['-3', '200'],
  ] as const) {
    await lease.leaseGrant({ ID, TTL })
  }
  expect((await lease.leaseLeases()).leases.map(({ ID }) => ID)).toEqual(['2', '-3', '1'])
})

test('a keep-alive stream answers each request in order, and 0 for what is gone', async () => {
  await using at = await started()
  await at.client.lease.leaseGrant({ ID: '7', TTL: '30' })
  const channel = openPlainChannel(at.server.port)
  const stream = channel.stream('/etcdserverpb.Lease/LeaseKeepAlive')
  for (const ID of ['7', '8', '7']) {
    await stream.write(LeaseKeepAliveRequest.encode({ ID }).finish())
  }
  stream.end()
  const answers: string[][] = []
  for await (const data of stream) {
    const { ID, TTL } = LeaseKeepAliveResponse.decode(data)
    answers.push([ID, TTL])
  }
  await channel.close()
  expect(answers).toEqual([
    ['7', '30'],
    ['8', '0'],
    ['7', '30'],
  ])
})

test('a restart gives a lease its whole time again, and one more election', async () => {
  await using at = await started({ storage: 'disk' })
  const { clock, server } = at
  await at.client.lease.leaseGrant({ ID: '1', TTL: '10' })
  await at.put('k', '1')
  clock.advance(9_000)
  await server.restart()
  await using client = await connected(server.endpoint)
  clock.advance(10_600)
  await settled(client)
  expect(await keysOf(client)).toEqual(['k'])
  clock.advance(1_000)
  await settled(client)
  expect(await keysOf(client)).toEqual([])
})
