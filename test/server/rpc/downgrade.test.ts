// Downgrade: what is checked, what it does to a lone member and to a cluster, and that it lasts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StatusResponse } from '../../../src/api/gen/rpc.js'
import type { Connection } from '../../../src/connection/connect.js'
import { startCluster } from '../../../src/index.js'
import { systemFiles } from '../../../src/platform/files.js'
import { openDatabase } from '../../../src/storage/bbolt/reader.js'
import { clusterKey } from '../../../src/storage/schema.js'
import { connected, type Disposable, failure } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'

let server: Embedded
let client: Disposable<Connection>
beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory' })
  client = await connected(server.endpoint)
})
afterAll(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

const [validate, enable, cancel] = [0, 1, 2] as const

test.each([
  [validate, '3.6'],
  [validate, '3.6.4'],
  [validate, '3.6.0-rc.1+dirty'],
  [validate, '03.06'],
  [cancel, ''],
] as const)(
  'action %d to %s succeeds, and tells the version of the cluster',
  async (action, version) => {
    const answer = await client.maintenance.downgrade({ action, version })
    expect(answer.version).toBe('3.7')
    expect(answer.header?.revision).toBe('1')
  },
)

test.each([
  [validate, '3', 'etcdserver: wrong downgrade target version format'],
  [validate, 'x.y', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.6-rc.1', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.6.0-rc_1', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.5', 'etcdserver: invalid downgrade target version'],
  [validate, '3.7', 'etcdserver: invalid downgrade target version'],
  [enable, '4.6', 'etcdserver: invalid downgrade target version'],
] as const)('action %d to %s is refused', async (action, version, message) => {
  const error = await failure(client.maintenance.downgrade({ action, version }))
  expect(error).toMatchObject({ message })
})

type Status = Pick<StatusResponse, 'downgradeInfo' | 'storageVersion'>

/** Asks until the member has agreed on this version: the leader proposes it by itself. */
async function untilAgreed(endpoint: string, version: string): Promise<void> {
  for (;;) {
    const response = await fetch(`http://${endpoint.replace('http://', '')}/version`)
    const { etcdcluster } = JSON.parse(await response.text())
    if (etcdcluster === version) return
    await new Promise(setImmediate)
  }
}

async function statusOf(endpoint: string): Promise<Status> {
  await using connection = await connected(endpoint)
  const { downgradeInfo, storageVersion } = await connection.maintenance.status()
  return { downgradeInfo, storageVersion }
}

const none = { downgradeInfo: { enabled: false, targetVersion: '' }, storageVersion: '3.7.0' }
const enabled = {
  downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
  storageVersion: '3.6.0',
}
const inProgress = { message: 'etcdserver: cluster has a downgrade job in progress' }

describe('a downgrade of a lone member', () => {
  test('takes the version down, lasts, and is cancelled', async () => {
    await using lone = await startEmbedded()
    const call = async (action: 0 | 1 | 2, version = '') => {
      await using connection = await connected(lone.endpoint)
      return (await connection.maintenance.downgrade({ action, version })).version
    }
    expect(await statusOf(lone.endpoint)).toEqual(none)
    expect(await call(enable, '3.6')).toBe('3.7')
    await untilAgreed(lone.endpoint, '3.6.0')
    expect(await statusOf(lone.endpoint)).toEqual(enabled)
    expect(await failure(call(validate, '3.5'))).toMatchObject(inProgress)
    expect(await failure(call(enable, '3.5.1'))).toMatchObject(inProgress)
    expect(await failure(call(enable, '3.6'))).toMatchObject({
      message: 'etcdserver: invalid downgrade target version',
    })

    await lone.restart()
    expect(await statusOf(lone.endpoint)).toEqual(enabled)
    await untilAgreed(lone.endpoint, '3.6.0')

    expect(await call(cancel)).toBe('3.6')
    await untilAgreed(lone.endpoint, '3.7.0')
    expect(await statusOf(lone.endpoint)).toEqual(none)
    expect(await call(cancel)).toBe('3.7')
    expect(await call(validate, '3.6')).toBe('3.7')
    await lone.stop()
    expect(await stored(lone.dbFile)).toEqual({
      clusterVersion: '3.7.0',
      downgrade: '{"target-version":"","enabled":false}',
    })
  })

  test('stands in the database as etcd writes it', async () => {
    await using lone = await startEmbedded()
    await using connection = await connected(lone.endpoint)
    await connection.maintenance.downgrade({ action: enable, version: '3.6.2' })
    await untilAgreed(lone.endpoint, '3.6.0')
    await lone.stop()
    expect(await stored(lone.dbFile)).toEqual({
      clusterVersion: '3.6.0',
      downgrade: '{"target-version":"3.6.0","enabled":true}',
    })
  })

  test('that never was leaves nothing there, nor in the log', async () => {
    await using lone = await startEmbedded()
    await lone.stop()
    expect(await stored(lone.dbFile)).toEqual({})
  })
})

/** The bucket `cluster`. */
async function stored(dbFile: string): Promise<Record<string, string>> {
  const database = await openDatabase(dbFile, { files: systemFiles })
  const found: Record<string, string> = {}
  for (const [name, key] of Object.entries(clusterKey)) {
    const value = await database.get('cluster', key)
    if (value !== undefined) found[name] = value.toString()
  }
  await database.close()
  return found
}

describe('a downgrade of a cluster', () => {
  test('is known to all members, by whichever it is enabled', async () => {
    await using cluster = await startCluster()
    const leader = await cluster.leader()
    const follower = cluster.members.find((member) => member !== leader)
    await using connection = await connected(follower?.endpoint ?? '')
    for (const { endpoint } of cluster.members) await untilAgreed(endpoint, '3.7.0')
    expect(await enabledAt(cluster.members)).toEqual(['false', 'false', 'false'])
    await connection.maintenance.downgrade({ action: enable, version: '3.6' })
    for (const { endpoint } of cluster.members) await untilAgreed(endpoint, '3.6.0')
    expect(await enabledAt(cluster.members)).toEqual(['true', 'true', 'true'])
    for (const { endpoint } of cluster.members) expect(await statusOf(endpoint)).toEqual(enabled)
    await connection.maintenance.downgrade({ action: cancel, version: '' })
    for (const { endpoint } of cluster.members) await untilAgreed(endpoint, '3.7.0')
    expect(await enabledAt(cluster.members)).toEqual(['false', 'false', 'false'])
  })

  test('with members before 3.5 is refused: they would end at such an entry', async () => {
    await using cluster = await startCluster({ config: { maxClusterVersion: '3.4.0' } })
    const [{ endpoint = '' } = {}] = cluster.members
    await untilAgreed(endpoint, '3.4.0')
    await using connection = await connected(endpoint)
    const error = await failure(
      connection.maintenance.downgrade({ action: enable, version: '3.3' }),
    )
    expect(String(error)).toContain('cannot be downgraded')
  })
})

/** What a member that wants to join is told: /downgrade/enabled on the peer port. */
async function enabledAt(members: readonly { endpoint: string }[]): Promise<string[]> {
  const [first] = members
  await using connection = await connected(first?.endpoint ?? '')
  const { members: known } = await connection.cluster.memberList({ linearizable: true })
  return Promise.all(
    known.map(async ({ peerURLs: [url] }) => (await fetch(`${url}/downgrade/enabled`)).text()),
  )
}
