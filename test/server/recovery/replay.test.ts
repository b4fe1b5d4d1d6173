// A log that is longer than what a member keeps of it in memory: it is replayed to its end, from
// a database that stands anywhere on it.
import { cp, rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { connected } from '../../connection/connecting.js'
import { startEmbedded } from '../../support/embedded.js'

const putCount = 1000

/** What kill -9 leaves behind, in a directory of its own. */
async function killed(dataDir: string): Promise<string> {
  const copy = `${dataDir}-killed`
  await cp(dataDir, copy, { recursive: true })
  await rm(`${copy}/member/tsctl.lock`)
  return copy
}

async function countIn(dataDir: string): Promise<string> {
  const server = await startEmbedded({ dataDir })
  await using client = await connected(server.endpoint)
  const { count } = await client.kv.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) })
  await client.kv.put({ key: Buffer.from('more') })
  await server.stop()
  return count
}

test('from the beginning', async () => {
  await using server = await startEmbedded()
  await using client = await connected(server.endpoint)
  const puts = Array.from({ length: putCount }, (_, at) =>
    client.kv.put({ key: Buffer.from(`k${at}`) }),
  )
  await Promise.all(puts)
  expect(await countIn(await killed(server.dataDir))).toBe(String(putCount))
})

test('from a database whose .snap file and record in the log never came', async () => {
  await using server = await startEmbedded()
  await using client = await connected(server.endpoint)
  const puts = Array.from({ length: putCount }, (_, at) =>
    client.kv.put({ key: Buffer.from(`k${at}`) }),
  )
  await Promise.all(puts)
  const copy = await killed(server.dataDir)
  await client.close()
  // The database of the clean stop, with the log of before.
  await server.stop()
  await cp(server.dbFile, `${copy}/member/snap/db`)
  expect(await countIn(copy)).toBe(String(putCount))
})
