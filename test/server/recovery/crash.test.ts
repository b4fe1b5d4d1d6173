// kill -9 of the real server while clients write, twenty times on the same directory: after each
// restart every acknowledged write is there. Some rounds write so much that the log comes to a
// new segment and a checkpoint is under way when the signal comes.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../../../src/connection/connect.js'
import { connected } from '../../connection/connecting.js'
import { seededRandom } from '../../support/cutting-proxy.js'
import { type ServerProcess, startServerProcess } from '../../support/server-process.js'
import { isUnanswered } from './unanswered.js'

const rounds = 20
const writerCount = 8
/** A large value; a few rounds of them make a second segment and some checkpoints. */
const largeBytes = 512 * 1024
const largeRounds = new Set([3, 8, 13])
/** Acknowledged writes after which the signal comes, at the least and at the most. */
const killAfter = { small: [20, 500], large: [40, 80] } as const

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'crash-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Of one key: the newest value that was acknowledged, and the newest that was sent. */
interface Progress {
  acknowledged: number
  tried: number
}

test('kill -9 loses no acknowledged write', async () => {
  const random = seededRandom(2)
  const keys = new Map<string, Progress>()
  let writeCount = 0
  for (let round = 0; round < rounds; round++) {
    await using server = await startServerProcess([`--data-dir=${dir}/data`, '--snapshot-count=25'])
    await using connection = await connected(server.endpoint)
    await checkKept(connection, keys)
    writeCount += await writeUntilKilled({ server, connection, keys, round, random })
  }
  await using server = await startServerProcess([`--data-dir=${dir}/data`])
  await using connection = await connected(server.endpoint)
  await checkKept(connection, keys)
  expect(writeCount).toBeGreaterThan(rounds * 20)
  // The rounds did cross what they were meant to cross.
  const segments = (await readdir(`${dir}/data/member/wal`)).filter((name) => name.endsWith('.wal'))
  expect(segments.some((name) => !name.startsWith('0000000000000000-'))).toBe(true)
  const snaps = await readdir(`${dir}/data/member/snap`)
  expect(snaps.some((name) => name.endsWith('.snap'))).toBe(true)
})

interface Round {
  server: ServerProcess
  connection: Connection
  keys: Map<string, Progress>
  round: number
  random: (limit: number) => number
}

/** Returns how many writes were acknowledged before the signal, or on its heels. */
async function writeUntilKilled(round: Round): Promise<number> {
  const { server, connection, keys, random } = round
  const isLarge = largeRounds.has(round.round)
  const [least, most] = isLarge ? killAfter.large : killAfter.small
  const limit = least + random(most - least)
  const padding = ' '.repeat(isLarge ? largeBytes : 10)
  const killed = new AbortController()
  let acknowledgedCount = 0
  const write = async (key: string): Promise<void> => {
    const progress = keys.get(key) ?? { acknowledged: 0, tried: 0 }
    keys.set(key, progress)
    while (!killed.signal.aborted) {
      const value = Buffer.from(`${++progress.tried}${padding}`)
      await connection.kv.put({ key: Buffer.from(key), value }, { signal: killed.signal })
      progress.acknowledged = progress.tried
      if (++acknowledgedCount === limit) {
        await server.stop('SIGKILL')
        killed.abort()
      }
    }
  }
  // A key of each round of its own stays as that round left it, for all rounds to come.
  const names = Array.from({ length: writerCount }, (_, at) =>
    at === 0 ? `round ${round.round}` : `writer ${at}`,
  )
  const ends = await Promise.allSettled(names.map(write))
  for (const end of ends) {
    if (end.status === 'rejected' && !isUnanswered(end.reason)) throw end.reason
  }
  return acknowledgedCount
}

async function checkKept({ kv }: Connection, keys: Map<string, Progress>): Promise<void> {
  for (const [key, progress] of keys) {
    const { kvs } = await kv.range({ key: Buffer.from(key) })
    const found = kvs[0] === undefined ? 0 : Number.parseInt(kvs[0].value.toString(), 10)
    expect(found, key).toBeGreaterThanOrEqual(progress.acknowledged)
    expect(found, key).toBeLessThanOrEqual(progress.tried)
    keys.set(key, { acknowledged: found, tried: found })
  }
}
