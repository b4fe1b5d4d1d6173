// What client libraries depend on and imitations get wrong: what holds in a cluster, through its
// followers and when it has no leader. The numbers are those of the whole list of thirty. The tests
// build on each other: of three members two are suspended on the way, and resumed at the end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as rpc from '../../../src/api/gen/rpc.js'
import { outcomeOf } from '../../server/token-client.js'
import {
  type ClusterMember,
  eventually,
  leaderOf,
  type ProcessCluster,
  type Program,
  startProcessCluster,
} from '../../support/cluster.js'
import { describeWithEtcd } from '../../support/real-etcd.js'
import { bytes, type Ground, groundOf, put, timeIsOver, Watching } from './ground.js'

const flags = ['--unsafe-no-fsync', '--heartbeat-interval=50', '--election-timeout=500']

describe('three members of the bundled server', () => onThree('tsctl'))
describeWithEtcd('three members of etcd', () => onThree('etcd'))

function onThree(program: Program): void {
  let cluster: ProcessCluster
  let leader: ClusterMember
  let grounds: (Ground & AsyncDisposable)[] = []
  beforeAll(async () => {
    cluster = await startProcessCluster({ programs: [program, program, program], flags })
    leader = await leaderOf(cluster.members)
    const others = cluster.members.filter((member) => member !== leader)
    const ports = [leader, ...others].map(({ endpoint }) => Number(endpoint.split(':')[1]))
    grounds = await Promise.all(ports.map(groundOf))
  })
  afterAll(async () => {
    for (const member of cluster?.members ?? []) member.resume()
    for (const ground of grounds) await ground[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  /** Of the leader. */
  const ground = (): Ground => {
    const [first] = grounds
    if (first === undefined) throw new Error('nothing is started')
    return first
  }
  const key = bytes('k')
  const hasleader = { hasleader: 'true' }
  const call = (path: string, message: Uint8Array, options = {}) =>
    outcomeOf(ground().channel.unary(`/etcdserverpb.KV/${path}`, message, options))
  const range = (more: object, options = {}) =>
    call('Range', rpc.RangeRequest.encode(rpc.RangeRequest.fromPartial(more)).finish(), options)

  it('22: a read sees every write that was acknowledged before it, through followers as well', async () => {
    for (let round = 0; round < 30; round++) {
      const [writer, reader] = [grounds[round % 3], grounds[(round + 1) % 3]]
      await writer?.client.call('Put', { key, value: bytes(String(round)) })
      const answer = await reader?.client.call('Range', { key })
      expect(answer?.kvs[0]?.value.toString()).toBe(String(round))
    }
  })

  it('19: hasleader ends calls and streams when the leader is lost, so that a watcher can go elsewhere', async () => {
    using watch = new Watching(ground(), hasleader)
    await watch.create({ key })
    for (const member of cluster.members) if (member !== leader) member.suspend()
    const lost = 'Unavailable: etcdserver: no leader'
    expect(await outcomeOf(watch.next())).toBe(lost)
    expect(await range({ key }, { metadata: hasleader })).toBe(lost)
    expect(await range({ key, serializable: true }, { metadata: hasleader })).toBe(lost)
    using late = new Watching(ground(), hasleader)
    expect(await outcomeOf(late.create({ key }))).toBe(lost)
  })

  it('24: the status tells that there is no leader, and does so without one', async () => {
    const status = await ground().client.call('Status', {})
    expect(status).toMatchObject({ leader: '0', errors: ['etcdserver: no leader'] })
    expect(status.version).toMatch(/^3\.\d+\.\d+$/)
  })

  it('22: without a leader, stale reads and transactions that only compare are answered, and no others', async () => {
    expect(await range({ key, serializable: true })).toBe('ok')
    const compare = [{ key, version: '0' }]
    expect((await ground().client.call('Txn', { compare })).succeeded).toBe(false)
    expect(await range({ key }, { deadlineMs: 300 })).toMatch(timeIsOver)
  })

  it('21: a write whose time is over stops waiting, and may still come to pass', async () => {
    const request = rpc.TxnRequest.fromPartial({ success: [put('k', 'late')] })
    const outcome = await call('Txn', rpc.TxnRequest.encode(request).finish(), { deadlineMs: 200 })
    expect(outcome).toMatch(timeIsOver)
    const waiting = range({ key })
    for (const member of cluster.members) member.resume()
    // 18: who waited for a leader is answered, or told in these words that there is another.
    expect(['ok', 'Unavailable: etcdserver: leader changed']).toContain(await waiting)
    const seen = await eventually('reads are answered again', async () => {
      const { kvs } = await ground().client.call('Range', { key })
      return kvs[0]?.value.toString()
    })
    expect(['29', 'late']).toContain(seen)
    expect(await ground().client.outcome('Put', { key })).toBe('ok')
  })
}
