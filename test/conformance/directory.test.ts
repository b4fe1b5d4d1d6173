// directory.test.ts: a data directory goes from a real etcd to the bundled server and back, as a
// kill in the middle of writing leaves it, with a log of several segments. Whatever was
// acknowledged is there, and both servers make the same of what was not.
import { createHash } from 'node:crypto'
import { cp, readdir, rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { connected } from '../connection/connecting.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'
import { startServerProcess } from '../support/server-process.js'
import { credentials, fillEverything, type WholeState, wholeState } from './whole-state.js'

/** A segment of the log has 64 MB: this is more than two. */
const writtenBytes = 140_000_000
const valueBytes = 400_000
const writersCount = 8

async function asRoot<T>(endpoint: string, work: (to: Connection) => Promise<T>): Promise<T> {
  await using connection = await connected(endpoint, { user: credentials })
  return await work(connection)
}

interface Acknowledged {
  readonly key: string
  readonly revision: string
  readonly digest: string
}

const digestOf = (value: Buffer): string => createHash('sha256').update(value).digest('hex')

/** Writes from several sides at once, until the server is killed, which `kill` does. */
async function writeUntilKilled(
  endpoint: string,
  kill: () => Promise<unknown>,
): Promise<Acknowledged[]> {
  const acknowledged: Acknowledged[] = []
  let killing: Promise<unknown> | undefined
  await asRoot(endpoint, async ({ kv }) => {
    const writer = async (who: number): Promise<void> => {
      for (let round = 0; killing === undefined; round++) {
        const key = `writer/${who}/${round}`
        const value = Buffer.alloc(valueBytes, `${key} `)
        const { header } = await kv.put({ key: Buffer.from(key), value })
        acknowledged.push({ key, revision: header?.revision ?? '', digest: digestOf(value) })
        if (acknowledged.length * valueBytes >= writtenBytes) killing ??= kill()
      }
    }
    // The writes that are under way fail; that they do not is no failure of theirs.
    const writers = Array.from({ length: writersCount }, (_, who) => writer(who))
    await Promise.allSettled(writers)
    await killing
  })
  return acknowledged
}

async function expectAll(endpoint: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  expect(acknowledged.length).toBeGreaterThanOrEqual(writtenBytes / valueBytes)
  await asRoot(endpoint, async ({ kv }) => {
    for (const { key, revision, digest } of acknowledged) {
      const { kvs } = await kv.range({ key: Buffer.from(key) })
      const [found] = kvs
      expect([found?.mod_revision, found && digestOf(found.value)]).toEqual([revision, digest])
    }
  })
}

/** What is left when the process is gone, for a second server to try. */
async function copied(etcd: RealEtcd): Promise<string> {
  const copy = `${etcd.dir}/copy`
  await cp(`${etcd.dir}/data`, copy, { recursive: true })
  await rm(`${copy}/member/tsctl.lock`, { force: true })
  return copy
}

const stateOf = (endpoint: string): Promise<WholeState> =>
  asRoot(endpoint, (of) => wholeState(of, { revisionsMax: 3, isHashed: true }))

async function segmentCount(dataDir: string): Promise<number> {
  const names = await readdir(`${dataDir}/member/wal`)
  return names.filter((name) => name.endsWith('.wal')).length
}

async function changeMore({ kv, lease, auth }: Connection): Promise<void> {
  await kv.put({ key: Buffer.from('more'), value: Buffer.from('1') })
  await kv.deleteRange({ key: Buffer.from('writer/1/'), range_end: Buffer.from('writer/2/') })
  await lease.leaseRevoke({ ID: '-5' })
  await lease.leaseGrant({ ID: '99', TTL: '9000' })
  await auth.userAdd({ name: 'later', password: 'x' })
}

describeWithEtcd('a directory', () => {
  test('of an etcd that was killed goes to the bundled server, and back', async () => {
    await using etcd = await startRealEtcd()
    const dataDir = `${etcd.dir}/data`
    {
      await using connection = await connected(etcd.endpoint)
      await fillEverything(connection, 2000)
    }
    const acknowledged = await writeUntilKilled(etcd.endpoint, () => etcd.stop('SIGKILL'))
    expect(await segmentCount(dataDir)).toBeGreaterThan(2)
    await using embedded = await startEmbedded({ dataDir: await copied(etcd) })
    await expectAll(embedded.endpoint, acknowledged)
    await etcd.start()
    expect(await stateOf(embedded.endpoint)).toEqual(await stateOf(etcd.endpoint))

    await asRoot(embedded.endpoint, changeMore)
    const changed = await stateOf(embedded.endpoint)
    await embedded.stop()
    await etcd.stop()
    await rm(dataDir, { recursive: true })
    await cp(embedded.dataDir, dataDir, { recursive: true })
    await etcd.start()
    expect(await stateOf(etcd.endpoint)).toEqual(changed)
  })

  test('of a bundled server that was killed goes to etcd, and back', async () => {
    await using etcd = await startRealEtcd()
    await etcd.stop()
    const dataDir = `${etcd.dir}/data`
    await rm(dataDir, { recursive: true })
    {
      // The log has the hashes of passwords, which etcd 3.4 does not read there: it makes them when
      // it applies an entry. So users must be in the database before it takes over.
      await using first = await startServerProcess([`--data-dir=${dataDir}`])
      await using connection = await connected(first.endpoint)
      await fillEverything(connection, 2000)
      await first.stop('SIGTERM')
    }
    await using bundled = await startServerProcess([`--data-dir=${dataDir}`])
    const acknowledged = await writeUntilKilled(bundled.endpoint, () => bundled.stop('SIGKILL'))
    const copy = await copied(etcd)
    await etcd.start()
    await expectAll(etcd.endpoint, acknowledged)
    await using embedded = await startEmbedded({ dataDir: copy })
    expect(await stateOf(etcd.endpoint)).toEqual(await stateOf(embedded.endpoint))
    await embedded.stop()

    await asRoot(etcd.endpoint, changeMore)
    const changed = await stateOf(etcd.endpoint)
    await etcd.stop('SIGKILL')
    await using back = await startEmbedded({ dataDir })
    expect(await stateOf(back.endpoint)).toEqual(changed)
  })

  test('takes its alarms and its cluster version along', async () => {
    await using etcd = await startRealEtcd()
    const alarms = (endpoint: string) =>
      connectedTo(endpoint, async ({ maintenance }) => (await maintenance.alarm({})).alarms)
    const raise = (endpoint: string, memberID: string) =>
      connectedTo(endpoint, ({ maintenance }) =>
        maintenance.alarm({ action: 1, memberID, alarm: 1 }),
      )
    await raise(etcd.endpoint, '7')
    await etcd.stop()
    await using embedded = await startEmbedded({ dataDir: `${etcd.dir}/data` })
    expect(await alarms(embedded.endpoint)).toEqual([{ memberID: '7', alarm: 1 }])
    await raise(embedded.endpoint, '8')
    const { cluster } = await versionOf(embedded.endpoint)
    expect(cluster).toBe('3.4.0')
    await embedded.stop()
    await etcd.start()
    expect((await alarms(etcd.endpoint)).map(({ memberID }) => memberID).sort()).toEqual(['7', '8'])
  })
})

async function connectedTo<T>(endpoint: string, work: (to: Connection) => Promise<T>): Promise<T> {
  await using connection = await connected(endpoint)
  return await work(connection)
}

async function versionOf(endpoint: string): Promise<{ cluster: string }> {
  const answer = await fetch(`http://${endpoint}/version`)
  const { etcdcluster } = (await answer.json()) as { etcdcluster: string }
  return { cluster: etcdcluster }
}
