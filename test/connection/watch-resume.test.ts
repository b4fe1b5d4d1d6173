// The promise of a watch, on a real etcd and on our own server: whatever happens to the
// connection, every event comes once and in order. A proxy breaks each connection after a number
// of bytes that a seed decides; the history is longer than any connection lasts, and changes go
// on while the watch catches up.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { seededRandom, startCuttingProxy } from '../support/cutting-proxy.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { connected, type Disposable } from './connecting.js'

/** Single changes, each a revision: the server sends at most 1000 revisions in one answer. */
const putCount = 4000
/** Transactions of several changes: one revision, which must not be torn. */
const txnCount = 400
const keysPerTxn = 5
const liveCount = 50

/** Less than the history, which has some 700 kB on the wire. */
const limitBytesMax = 350_000

const prefix = 'watched/'
const range = { key: Buffer.from(prefix), range_end: Buffer.from('watched0') }

describeWithEtcd('a watch of a real etcd through connections that break', () => {
  watchesAll(startRealEtcd, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

describe('a watch of our server through connections that break', () => {
  watchesAll(startEmbedded, [11, 12, 13])
})

type Started = { endpoint: string; port: number } & AsyncDisposable

function watchesAll(start: () => Promise<Started>, seeds: readonly number[]): void {
  let etcd: Started
  let direct: Disposable<Connection>
  /** Names of all keys ever put, in no order. */
  const written: string[] = []

  beforeAll(async () => {
    etcd = await start()
    direct = await connected(etcd.endpoint)
    const names = Array.from({ length: putCount }, (_, index) => `put ${index}`)
    const txns = Array.from({ length: txnCount }, (_, txn) =>
      Array.from({ length: keysPerTxn }, (_, index) => `txn ${txn} ${index}`),
    )
    await Promise.all([...names.map(put), ...txns.map(putTogether)])
  })
  afterAll(async () => {
    await direct?.close()
    await etcd?.[Symbol.asyncDispose]()
  })

  const pair = (name: string) => ({ key: Buffer.from(prefix + name), value: Buffer.alloc(40, 'v') })
  const put = async (name: string): Promise<void> => {
    await direct.kv.put(pair(name))
    written.push(name)
  }
  const putTogether = async (names: readonly string[]): Promise<void> => {
    await direct.kv.txn({ success: names.map((name) => ({ request_put: pair(name) })) })
    written.push(...names)
  }

  test.each(seeds)(
    'loses and repeats no event and keeps the order (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      await using proxy = await startCuttingProxy({
        target: { host: '127.0.0.1', port: etcd.port },
        nextLimitBytes: () => 1 + random(limitBytesMax),
      })
      await using connection = await connected(`127.0.0.1:${proxy.port}`)
      const live = Array.from({ length: liveCount }, (_, index) => `live ${seed} ${index}`)
      const last = `last ${seed}`
      let isWriting: Promise<unknown> | undefined
      const names: string[] = []
      const revisions: bigint[] = []
      for await (const { events } of connection.watch({ ...range, start_revision: '1' })) {
        isWriting ??= Promise.all(live.map(put)).then(() => put(last))
        for (const { kv } of events) {
          names.push(kv?.key.subarray(prefix.length).toString() ?? '')
          revisions.push(BigInt(kv?.mod_revision ?? 0))
        }
        if (names.at(-1) === last) break
      }
      await isWriting

      expect(names.toSorted()).toEqual(written.toSorted())
      expect(revisions.every((revision, at) => revision >= (revisions[at - 1] ?? 0n))).toBe(true)
      expect(proxy.connectionCount).toBeGreaterThan(1)
    },
    10_000,
  )
}
