// The services Lock and Election: the same story told to the bundled server and to a real etcd, and
// locks that exclude, and are excluded by, those of etcdctl and of our own command.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ResignRequest,
} from '../../src/api/gen/election.js'
import { LockRequest, LockResponse, UnlockRequest } from '../../src/api/gen/lock.js'
import * as rpc from '../../src/api/gen/rpc.js'
import type { Channel, ClientStream } from '../../src/grpc/channel.js'
import { RpcError, statusName } from '../../src/grpc/status.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { openPlainChannel } from '../support/open-plain-channel.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'

interface Services {
  lock(name: string, lease: number, signal?: AbortSignal): Promise<string>
  unlock(key: string): Promise<string>
  campaign(name: string, lease: number, value: string, signal?: AbortSignal): Promise<string>
  proclaim(lead: Lead, value: string): Promise<string>
  leader(name: string): Promise<string>
  resign(lead: Lead): Promise<string>
  observe(name: string): { next(): Promise<string>; cancel(): void }
  grant(id: number, ttlSeconds?: number): Promise<void>
  revoke(id: number): Promise<void>
  keys(prefix: string): Promise<string[]>
  /** Resolves when the prefix has so many keys. */
  untilKeys(prefix: string, count: number): Promise<void>
  close(): Promise<void>
}

interface Lead {
  key: string
  rev: number
  lease: number
}

const bytes = (text: string) => Buffer.from(text)

/** Answers and errors as text, without ids. */
function servicesOf(port: number): Services {
  const channel = openPlainChannel(port)
  const told = (path: string, request: Uint8Array, signal?: AbortSignal) =>
    channel.unary(path, request, signal ? { signal } : {}).then(
      (answer) => answer,
      (error: unknown) => errorText(error),
    )
  const lead = ({ key, rev, lease }: Lead) => ({
    name: bytes(key.split('/')[0] ?? ''),
    key: bytes(key),
    rev: String(rev),
    lease: String(lease),
  })
  const range = async (prefix: string) => {
    const key = bytes(prefix)
    const request = rpc.RangeRequest.fromPartial({ key, range_end: bytes(`${prefix}~`) })
    const answer = await channel.unary(
      '/etcdserverpb.KV/Range',
      rpc.RangeRequest.encode(request).finish(),
    )
    return rpc.RangeResponse.decode(answer)
  }
  return {
    async lock(name, lease, signal) {
      const request = LockRequest.encode({ name: bytes(name), lease: String(lease) }).finish()
      const answer = await told('/v3lockpb.Lock/Lock', request, signal)
      if (typeof answer === 'string') return answer
      const { key, header } = LockResponse.decode(answer)
      return `${key} at ${header?.revision}`
    },
    async unlock(key) {
      const answer = await told(
        '/v3lockpb.Lock/Unlock',
        UnlockRequest.encode({ key: bytes(key) }).finish(),
      )
      return typeof answer === 'string' ? answer : 'OK'
    },
    async campaign(name, lease, value, signal) {
      const request = { name: bytes(name), lease: String(lease), value: bytes(value) }
      const answer = await told(
        '/v3electionpb.Election/Campaign',
        CampaignRequest.encode(request).finish(),
        signal,
      )
      if (typeof answer === 'string') return answer
      const { leader } = CampaignResponse.decode(answer)
      return `${leader?.name} ${leader?.key} rev ${leader?.rev} lease ${leader?.lease}`
    },
    async proclaim(leader, value) {
      const request = ProclaimRequest.encode({ leader: lead(leader), value: bytes(value) })
      const answer = await told('/v3electionpb.Election/Proclaim', request.finish())
      return typeof answer === 'string' ? answer : 'OK'
    },
    async leader(name) {
      const request = LeaderRequest.encode({ name: bytes(name) }).finish()
      const answer = await told('/v3electionpb.Election/Leader', request)
      return typeof answer === 'string' ? answer : leaderText(answer)
    },
    async resign(leader) {
      const request = ResignRequest.encode({ leader: lead(leader) }).finish()
      const answer = await told('/v3electionpb.Election/Resign', request)
      return typeof answer === 'string' ? answer : 'OK'
    },
    observe(name) {
      const stream: ClientStream = channel.stream('/v3electionpb.Election/Observe')
      void stream.write(LeaderRequest.encode({ name: bytes(name) }).finish())
      stream.end()
      const answers = stream[Symbol.asyncIterator]()
      return {
        async next() {
          const { value, done } = await answers.next()
          return done ? 'ended' : leaderText(value)
        },
        cancel: () => stream.cancel(),
      }
    },
    async grant(id, ttlSeconds = 60) {
      const request = rpc.LeaseGrantRequest.encode({ ID: String(id), TTL: String(ttlSeconds) })
      await channel.unary('/etcdserverpb.Lease/LeaseGrant', request.finish())
    },
    async revoke(id) {
      const request = rpc.LeaseRevokeRequest.encode({ ID: String(id) })
      await channel.unary('/etcdserverpb.Lease/LeaseRevoke', request.finish())
    },
    async keys(prefix) {
      return (await range(prefix)).kvs.map(({ key }) => key.toString())
    },
    untilKeys: (prefix, count) => untilKeys(channel, prefix, count),
    close: () => channel.close(),
  }
}

function leaderText(answer: Buffer): string {
  const { kv, header } = LeaderResponse.decode(answer)
  return `${kv?.key} = ${kv?.value} at ${header?.revision}`
}

const errorText = (error: unknown): string =>
  error instanceof RpcError ? `${statusName(error.code)} ${error.details}` : String(error)

/** Watches instead of asking again and again. */
async function untilKeys(channel: Channel, prefix: string, count: number): Promise<void> {
  const range = { key: bytes(prefix), range_end: bytes(`${prefix}~`) }
  const stream = channel.stream('/etcdserverpb.Watch/Watch')
  const create = rpc.WatchCreateRequest.fromPartial(range)
  const request = rpc.WatchRequest.fromPartial({ create_request: create })
  await stream.write(rpc.WatchRequest.encode(request).finish())
  for await (const _ of stream) {
    const answer = await channel.unary(
      '/etcdserverpb.KV/Range',
      rpc.RangeRequest.encode(rpc.RangeRequest.fromPartial(range)).finish(),
    )
    if (rpc.RangeResponse.decode(answer).kvs.length === count) break
  }
  stream.cancel()
}

/** What two clients live through; each line is what one of them was told. */
async function story(services: Services): Promise<string[]> {
  const lines: string[] = []
  const note = (what: string, told: string) => lines.push(`${what}: ${told}`)
  for (const id of [1, 2, 0x1a2b]) await services.grant(id)
  note('lock', await services.lock('L', 1))
  note('the same lease again', await services.lock('L', 1))
  const second = services.lock('L', 2)
  await services.untilKeys('L/', 2)
  const third = services.lock('L', 0x1a2b)
  await services.untilKeys('L/', 3)
  note('queue', (await services.keys('L/')).join(' '))
  note('unlock', await services.unlock('L/1'))
  note('the second', await second)
  await services.revoke(2)
  note('the third', await third)
  note('unlock what is no lock', await services.unlock('L/none'))
  note('unlock nothing', await services.unlock(''))
  note('an unknown lease', await services.lock('L', 99))
  note('no leader yet', await services.leader('E'))
  const observer = services.observe('E')
  note('campaign', await services.campaign('E', 1, 'first'))
  const [own] = (await services.keys('E/')) as [string]
  const lead = { key: own, rev: Number(/rev (\d+)/.exec(lines.at(-1) ?? '')?.[1]), lease: 1 }
  note('observed', await observer.next())
  note('leader', await services.leader('E'))
  note('proclaim', await services.proclaim(lead, 'news'))
  note('observed', await observer.next())
  note('campaign again', await services.campaign('E', 1, 'again'))
  note('observed', await observer.next())
  await services.grant(3)
  const rival = services.campaign('E', 3, 'rival')
  await services.untilKeys('E/', 2)
  note('still', await services.leader('E'))
  note('resign', await services.resign(lead))
  note('the rival', await rival)
  note('observed', await observer.next())
  note('resign again', await services.resign(lead))
  note('proclaim without leading', await services.proclaim(lead, 'x'))
  observer.cancel()
  return lines
}

describeWithEtcd('beside a real etcd', () => {
  let etcd: RealEtcd
  let ours: Embedded
  beforeAll(async () => {
    etcd = await startRealEtcd()
    ours = await startEmbedded({ storage: 'memory' })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await ours?.[Symbol.asyncDispose]()
  })

  test('both tell the same story', async () => {
    const [there, here] = [servicesOf(etcd.port), servicesOf(ours.port)]
    const [theirs, own] = await Promise.all([story(there), story(here)])
    await Promise.all([there.close(), here.close()])
    expect(own).toEqual(theirs)
    expect(own).toContain('the second: L/2 at 5')
  })

  test('etcdctl waits for the service, and the service for etcdctl', async () => {
    const services = servicesOf(ours.port)
    await services.grant(11)
    const [held] = (await services.lock('shared', 11)).split(' ')
    const holder = etcdctlLock(ours.endpoint, 'shared')
    await services.untilKeys('shared/', 2)
    expect(holder.lines).toEqual([])
    await services.unlock(held ?? '')
    expect(await holder.line()).toMatch(/^shared\/[0-9a-f]+$/)
    await services.grant(12)
    const next = services.lock('shared', 12)
    await services.untilKeys('shared/', 2)
    await holder.end()
    expect(await next).toMatch(/^shared\/c at /)
    await services.close()
  })
})

function etcdctlLock(endpoint: string, name: string) {
  const env = { PATH: process.env.PATH, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoint }
  const child = spawn('etcdctl', ['lock', name], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const reader = createInterface({ input: child.stdout })
  const lines: string[] = []
  reader.on('line', (line) => lines.push(line))
  return {
    lines,
    /** The first one, though it may be there already. */
    async line(): Promise<string> {
      if (lines.length === 0) await once(reader, 'line')
      return lines[0] ?? ''
    },
    async end() {
      const ended = once(child, 'exit')
      child.kill('SIGINT')
      await ended
    },
  }
}

describe('who gives up', () => {
  let ours: Embedded
  let services: Services
  beforeAll(async () => {
    ours = await startEmbedded({ storage: 'memory' })
    services = servicesOf(ours.port)
  })
  afterAll(async () => {
    await services?.close()
    await ours?.[Symbol.asyncDispose]()
  })

  test('waiting for a lock leaves the queue', async () => {
    for (const id of [1, 2]) await services.grant(id)
    await services.lock('L', 1)
    const controller = new AbortController()
    const waiting = services.lock('L', 2, controller.signal)
    await services.untilKeys('L/', 2)
    controller.abort()
    expect(await waiting).toMatch(/^Canceled /)
    await services.untilKeys('L/', 1)
    expect(await services.keys('L/')).toEqual(['L/1'])
  })

  test('waiting to lead never leads', async () => {
    for (const id of [3, 4]) await services.grant(id)
    await services.campaign('E', 3, 'a')
    const controller = new AbortController()
    const waiting = services.campaign('E', 4, 'b', controller.signal)
    await services.untilKeys('E/', 2)
    controller.abort()
    await waiting
    await services.untilKeys('E/', 1)
    expect(await services.leader('E')).toMatch(/^E\/3 = a at /)
  })

  test('loses its place with its lease', async () => {
    for (const id of [5, 6]) await services.grant(id)
    await services.lock('M', 5)
    const waiting = services.lock('M', 6)
    await services.untilKeys('M/', 2)
    await services.revoke(6)
    await services.unlock('M/5')
    expect(await waiting).toBe('Unknown mutex: session is expired')
  })

  test('gets a lease of a minute when it brought none', async () => {
    const [key = ''] = (await services.lock('N', 0)).split(' ')
    expect(key).toMatch(/^N\/[0-9a-f]{16}$|^N\/[0-9a-f]+$/)
    expect(await services.keys('N/')).toEqual([key])
  })
})
