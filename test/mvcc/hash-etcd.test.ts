// HashKV against a real etcd that was given the same writes. Any difference in revisions, in the
// encoding of a record or in what a compaction leaves shows as another number.
//
// The etcd of Debian is 3.4.23. It removes a tombstone exactly at the compact revision, where newer
// ones keep it until the next compaction; the hash leaves it out, so that all releases agree.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Store } from '../../src/mvcc/store.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'

let etcd: RealEtcd | undefined

function server(): RealEtcd {
  if (etcd === undefined) throw new Error('etcd is started before each suite that uses it')
  return etcd
}

/** The JSON gateway: a write costs a millisecond there, and a process with etcdctl. */
async function call(path: string, body: object): Promise<void> {
  const response = await fetch(`http://${server().endpoint}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  await response.arrayBuffer()
}

async function realHash(revision: number): Promise<unknown> {
  const words = ['endpoint', 'hashkv', '--rev', String(revision), '-w', 'json']
  const [{ HashKV }] = JSON.parse(await server().etcdctl(words))
  return { hash: HashKV.hash, compactRevision: HashKV.compact_revision ?? 0 }
}

function ourHash(store: Store, revision: number): unknown {
  const { hash, compactRevision } = store.hashKv(revision)
  return { hash, compactRevision }
}

type Op =
  | { kind: 'put'; key: Buffer; value: Buffer; lease: bigint }
  | { kind: 'delete'; key: Buffer; end: Buffer | undefined }

const leases = [0n, 0n, 1n, 128n, 0x7fff_ffff_ffff_fff1n, -2n]
const byte = fc.constantFrom(0x00, 0x61, 0x62, 0x80, 0xff)
const key = fc.array(byte, { minLength: 1, maxLength: 2 }).map((bytes) => Buffer.from(bytes))
const value = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
)
const put = fc.record({
  kind: fc.constant('put' as const),
  ...{ key, value, lease: fc.constantFrom(...leases) },
})
const remove = fc.record({
  kind: fc.constant('delete' as const),
  key,
  end: fc.option(key, { nil: undefined }),
})
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: put },
  { weight: 1, arbitrary: remove },
)

/** etcd refuses to put a key twice in one transaction, or one that the transaction deletes. */
function isAllowed(ops: readonly Op[]): boolean {
  const puts = ops.flatMap((one) => (one.kind === 'put' ? [one.key] : []))
  const isTwice = new Set(puts.map((bytes) => bytes.toString('hex'))).size < puts.length
  const isCovered = ops.some((one) => {
    if (one.kind === 'put') return false
    const { key: from, end: to } = one
    return puts.some((bytes) =>
      to === undefined ? bytes.equals(from) : from.compare(bytes) <= 0 && bytes.compare(to) < 0,
    )
  })
  return !isTwice && !isCovered
}

const transaction = fc.array(op, { minLength: 1, maxLength: 4 }).filter(isAllowed)

async function apply(store: Store, ops: readonly Op[]): Promise<void> {
  const success = ops.map((one) =>
    one.kind === 'put'
      ? {
          request_put: {
            key: one.key.toString('base64'),
            value: one.value.toString('base64'),
            lease: one.lease.toString(),
          },
        }
      : {
          request_delete_range: {
            key: one.key.toString('base64'),
            range_end: one.end?.toString('base64') ?? '',
          },
        },
  )
  await call('kv/txn', { success })
  const txn = store.begin()
  for (const one of ops) {
    if (one.kind === 'put') txn.put(one.key, one.value, one.lease)
    else txn.deleteRange(one.key, one.end)
  }
  txn.end()
}

async function compact(store: Store, revision: number): Promise<void> {
  await call('kv/compaction', { revision: String(revision), physical: true })
  store.compact(revision)
  for (const _ of store.compactionSteps()) void _
}

describeWithEtcd('HashKV and a real etcd', () => {
  beforeAll(async () => {
    etcd = await startRealEtcd()
  })
  afterAll(() => etcd?.[Symbol.asyncDispose]())

  test('a random history hashes alike, at many revisions and through compactions', async () => {
    const store = new Store()
    for (const lease of new Set(leases)) {
      if (lease !== 0n) await call('lease/grant', { ID: lease.toString(), TTL: '3600' })
    }
    const seed = 20_260_101
    const transactions = fc.sample(transaction, { seed, numRuns: 240 })
    const compared: number[] = []
    for (const [number, ops] of transactions.entries()) {
      await apply(store, ops)
      if (number % 60 !== 59) continue
      const middle = Math.floor((store.revision + Math.max(1, store.compactRevision)) / 2)
      for (const revision of [0, store.revision - 1, middle]) {
        expect(ourHash(store, revision), `at ${revision}`).toEqual(await realHash(revision))
        compared.push(revision)
      }
      await compact(store, store.revision - 20)
      expect(ourHash(store, 0)).toEqual(await realHash(0))
    }
    expect(compared.length).toBe(12)
    // The difference between releases: a tombstone exactly at the compact revision.
    await apply(store, [
      { kind: 'put', key: Buffer.from('gone'), value: Buffer.from('1'), lease: 0n },
    ])
    await apply(store, [{ kind: 'delete', key: Buffer.from('gone'), end: undefined }])
    await compact(store, store.revision)
    const last = [...store.records()].at(-1)
    expect([last?.keyText, last?.tombstone]).toEqual(['gone', true])
    await apply(store, [{ kind: 'put', key: Buffer.from('b'), value: Buffer.from('2'), lease: 0n }])
    expect(ourHash(store, 0)).toEqual(await realHash(0))
    await compact(store, store.revision)
    await apply(store, [{ kind: 'put', key: Buffer.from('b'), value: Buffer.from('3'), lease: 0n }])
    expect(ourHash(store, 0)).toEqual(await realHash(0))
  })
})
