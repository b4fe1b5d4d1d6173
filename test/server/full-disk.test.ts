// A full disk of a member that is alone: it refuses writes, may be stopped, and has everything when
// it starts again. Of a member among others: ../conformance/cluster-full-disk.test.ts.
import { expect, test } from 'vitest'
import { systemFiles } from '../../src/platform/files.js'
import { connected, failure } from '../connection/connecting.js'
import { eventually } from '../support/cluster.js'
import { startEmbedded } from '../support/embedded.js'
import { fillingFiles } from '../support/filling-files.js'

const put = async (endpoint: string, key: string, deadlineMs = 60_000) => {
  await using connection = await connected(endpoint)
  await connection.kv.put({ key: Buffer.from(key), value: Buffer.from('v') }, { deadlineMs })
}

const keys = async (endpoint: string, more = {}) => {
  await using connection = await connected(endpoint)
  const all = { key: Buffer.alloc(1), range_end: Buffer.alloc(1) }
  const { kvs } = await connection.kv.range({ ...all, ...more }, { deadlineMs: 60_000 })
  return kvs.map(({ key }) => key.toString())
}

test('a member that is stopped while its disk is full has everything afterwards', async () => {
  const disk = fillingFiles(systemFiles)
  await using embedded = await startEmbedded({ files: disk })
  await put(embedded.endpoint, 'a')
  disk.isFull = true
  await embedded.stop()
  disk.isFull = false
  await embedded.restart()
  expect(await keys(embedded.endpoint)).toEqual(['a'])
})

test('a member refuses writes while its disk is full, and takes them afterwards', async () => {
  const disk = fillingFiles(systemFiles)
  await using embedded = await startEmbedded({ files: disk })
  await put(embedded.endpoint, 'a')
  disk.isFull = true
  // It is in the log of the member, which waits for room: nobody can say yet whether it is done.
  await failure(put(embedded.endpoint, 'unsure', 500))
  const refusal = await failure(put(embedded.endpoint, 'refused'))
  expect(refusal.message).toBe('etcdserver: mvcc: database space exceeded')
  expect(await keys(embedded.endpoint, { serializable: true })).toEqual(['a'])
  disk.isFull = false
  await eventually('it takes writes again', () => put(embedded.endpoint, 'b').then(() => true))
  expect(await keys(embedded.endpoint)).toEqual(['a', 'b', 'unsure'])
})
