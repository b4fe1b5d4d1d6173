// etcd.test.ts: a real etcd lives on a directory that was restored here, with everything that its
// predecessor had, and its own snapshots are understood.
import path from 'node:path'
import { expect, test } from 'vitest'
import { systemFiles } from '../../src/platform/files.js'
import { silentLog } from '../../src/platform/log.js'
import { snapshotHashKv } from '../../src/snapshot/hashkv.js'
import { restoreDefaults, restoreSnapshot } from '../../src/snapshot/restore.js'
import { snapshotStatus } from '../../src/snapshot/status.js'
import { verifySnapshot } from '../../src/snapshot/verify.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'

const parts = { files: systemFiles, log: silentLog }

/** Everything of a server that a restore must keep, as its own client tells it. */
async function stateOf(etcd: RealEtcd) {
  const words = (text: string): string[] => text.trim().split('\n').sort()
  const leases = words(await etcd.etcdctl(['lease', 'list'])).filter((id) => /^[0-9a-f]+$/.test(id))
  const attached: string[] = []
  for (const id of leases) {
    const told = await etcd.etcdctl(['lease', 'timetolive', id, '--keys'])
    attached.push(told.replace(/remaining\(\d+s\)/, ''))
  }
  const kvs = await etcd.etcdctl(['get', '', '--from-key', '-w', 'json'])
  const hash = await etcd.etcdctl(['endpoint', 'hashkv', '-w', 'json'])
  return {
    kvs: /"kvs":.*/.exec(kvs)?.[0],
    revision: /"revision":(\d+)/.exec(kvs)?.[1],
    hash: /"hash":\d+,"compact_revision":-?\d+/.exec(hash)?.[0],
    attached,
    users: words(await etcd.etcdctl(['user', 'list'])),
    role: await etcd.etcdctl(['role', 'get', 'reader']),
  }
}

async function fill(etcd: RealEtcd): Promise<void> {
  // A txn from standard input makes many keys with one process.
  for (let turn = 0; turn < 8; turn++) {
    const puts = Array.from({ length: 100 }, (_, at) => {
      const filler = 'x'.repeat((at * 37) % 1500)
      return `put "key/${at}/${turn % 3}" "turn ${turn} ${filler}"`
    })
    await etcd.etcdctl(['txn'], `\n${puts.join('\n')}\n\n\n`)
  }
  const [, lease = ''] = (await etcd.etcdctl(['lease', 'grant', '3600'])).split(' ')
  await etcd.etcdctl(['lease', 'grant', '7200'])
  await etcd.etcdctl(['put', 'leased', 'value', `--lease=${lease}`])
  await etcd.etcdctl(['put', 'big'], 'B'.repeat(1_000_000))
  await etcd.etcdctl(['compaction', '6'])
  await etcd.etcdctl(['del', 'key/7', '--prefix'])
  await etcd.etcdctl(['user', 'add', 'guest', '--no-password'])
  await etcd.etcdctl(['role', 'add', 'reader'])
  await etcd.etcdctl(['role', 'grant-permission', 'reader', 'read', 'key/', '--prefix=true'])
}

describeWithEtcd('etcd and snapshots', () => {
  test('a restored directory has everything, also after the next start', async () => {
    await using etcd = await startRealEtcd()
    await fill(etcd)
    const state = await stateOf(etcd)
    const snapshot = path.join(etcd.dir, 'snapshot.db')
    await etcd.etcdctl(['snapshot', 'save', snapshot])
    await etcd.stop()

    const told = JSON.parse(await etcd.etcdctl(['snapshot', 'status', snapshot, '-w', 'json']))
    const { hash, revision, totalSize } = await snapshotStatus(snapshot, parts)
    expect({ hash, revision, totalSize }).toEqual({
      ...{ hash: told.hash, revision: told.revision, totalSize: told.totalSize },
    })
    expect((await verifySnapshot(snapshot, parts)).findings).toEqual([])
    const offline = await snapshotHashKv(snapshot, parts)
    expect(state.hash).toBe(`"hash":${offline.hash},"compact_revision":${offline.compactRevision}`)

    const dataDir = path.join(etcd.dir, 'restored')
    await restoreSnapshot(snapshot, { ...restoreDefaults, dataDir }, parts)
    await using successor = await startRealEtcd({ flags: [`--data-dir=${dataDir}`] })
    expect(await stateOf(successor)).toEqual(state)
    expect(await successor.etcdctl(['member', 'list'])).toContain('8e9e05c52164694d')
    await successor.etcdctl(['put', 'new', 'value'])
    await successor.stop()
    await successor.start()
    expect(await successor.etcdctl(['get', 'new'])).toBe('new\nvalue\n')
  })

  test('the new cluster goes on at a bumped revision, and history reads as compacted', async () => {
    await using etcd = await startRealEtcd()
    for (let at = 0; at < 5; at++) await etcd.etcdctl(['put', `k${at}`, `${at}`])
    const snapshot = path.join(etcd.dir, 'snapshot.db')
    await etcd.etcdctl(['snapshot', 'save', snapshot])
    await etcd.stop()
    const dataDir = path.join(etcd.dir, 'restored')
    const bump = { bumpRevision: 1_000_000, markCompacted: true }
    await restoreSnapshot(snapshot, { ...restoreDefaults, dataDir, ...bump }, parts)
    await using successor = await startRealEtcd({ flags: [`--data-dir=${dataDir}`] })
    const got = JSON.parse(await successor.etcdctl(['get', 'k', '--prefix', '-w', 'json']))
    expect(got.header.revision).toBe(1_000_006)
    expect(got.kvs.map(({ mod_revision }: { mod_revision: number }) => mod_revision)).toEqual([
      2, 3, 4, 5, 6,
    ])
    await expect(successor.etcdctl(['get', 'k1', '--rev=6'])).rejects.toThrow('has been compacted')
    await successor.etcdctl(['put', 'k1', 'again'])
    expect(await successor.etcdctl(['get', 'k1', '-w', 'fields'])).toContain(
      '"ModRevision" : 1000007',
    )
  })
})
