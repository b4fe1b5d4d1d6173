// on-disk.test.ts: what the package offers to programs, from a server to a file and back to one.
import { expect, test } from 'vitest'
import {
  restoreSnapshot,
  saveSnapshot,
  snapshotHashKv,
  snapshotRange,
  snapshotStatus,
  verifySnapshot,
} from '../../src/index.js'
import { connected } from '../connection/connecting.js'
import { temporaryDir } from '../storage/bbolt/databases.js'
import { startEmbedded } from '../support/embedded.js'

test('a program saves, looks into, checks and restores a snapshot', async () => {
  await using place = await temporaryDir()
  const [file, dataDir] = [place.file('s.db'), place.file('data')]
  const key = Buffer.from('k')
  {
    await using server = await startEmbedded()
    await using connection = await connected(server.endpoint)
    await connection.kv.put({ key, value: Buffer.from('v') })
    await saveSnapshot(connection.snapshot(), file)
    const { hash } = await connection.maintenance.hashKV({ revision: '0' })
    expect((await snapshotHashKv(file)).hash).toBe(hash)
  }
  expect(await snapshotStatus(file)).toMatchObject({ revision: 2, totalKey: 1 })
  expect(await verifySnapshot(file)).toMatchObject({ digest: 'valid', findingCount: 0 })
  expect((await snapshotRange(file, { key })).kvs[0]?.value.toString()).toBe('v')
  expect((await restoreSnapshot(file, { dataDir })).dataDir).toBe(dataDir)
  await using server = await startEmbedded({ dataDir })
  await using connection = await connected(server.endpoint)
  expect((await connection.kv.range({ key })).kvs[0]?.value.toString()).toBe('v')
})
