// snapshot-matrix.test.ts: a backup can be made, read and restored with either tool, and goes from
// any server to any other: {etcd, bundled} writes, {tsctl, etcdctl} saves, both say what is in the
// file, {tsctl, etcdctl} restores, {etcd, bundled} starts. Sixteen ways, one outcome.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { systemFiles as files } from '../../src/platform/files.js'
import { verifySnapshot } from '../../src/snapshot/verify.js'
import { openDatabase } from '../../src/storage/bbolt/reader.js'
import { connected } from '../connection/connecting.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { etcdctl, type Tool, tsctl } from './tools.js'
import { credentials, fillEverything, type WholeState, wholeState } from './whole-state.js'

const keyCount = 20_000
const tools: Readonly<Record<string, Tool>> = { tsctl, etcdctl }
const restorers = ['tsctl', 'etcdctl'] as const
const hosts = ['etcd', 'bundled'] as const

/** Quick to elect itself, and on the data directory of somebody else. */
const etcdFlags = (dataDir: string) => [
  `--data-dir=${dataDir}`,
  '--heartbeat-interval=10',
  '--election-timeout=100',
]

interface Host extends AsyncDisposable {
  readonly endpoint: string
  stop(): Promise<void>
}

const start = (host: (typeof hosts)[number], dataDir: string): Promise<Host> =>
  host === 'etcd' ? startRealEtcd({ flags: etcdFlags(dataDir) }) : startEmbedded({ dataDir })

async function as<T>(user: typeof credentials | undefined, endpoint: string, work: Work<T>) {
  await using connection = await connected(endpoint, user === undefined ? {} : { user })
  return await work(connection)
}

type Work<T> = (connection: Connection) => Promise<T>

/** Runs a tool to its end, which must be a good one. */
async function done(name: string, words: readonly string[], endpoint = ''): Promise<string> {
  const { name: user, password } = credentials
  const server = { ETCDCTL_ENDPOINTS: endpoint, ETCDCTL_USER: `${user}:${password}` }
  const result = await tools[name]?.run(words, endpoint === '' ? {} : server)
  expect(result, `${name} ${words.join(' ')}`).toMatchObject({ code: 0 })
  return result?.stdout ?? ''
}

describeWithEtcd('snapshots', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'snapshot-matrix-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  describe.each(hosts)('of %s', (source) => {
    let state: WholeState
    const snapshotBy = (saver: string): string => path.join(dir, `${source}-by-${saver}.db`)

    beforeAll(async () => {
      await using server = await start(source, path.join(dir, source))
      await as(undefined, server.endpoint, (connection) => fillEverything(connection, keyCount))
      state = await as(credentials, server.endpoint, wholeState)
      for (const saver of Object.keys(tools)) {
        await done(saver, ['snapshot', 'save', snapshotBy(saver)], server.endpoint)
      }
      await server.stop()
    })

    test('what was written is worth the trouble', () => {
      expect(Number(state.count)).toBeGreaterThan(19_000)
      expect(Object.keys(state.hashes).length).toBeGreaterThan(10)
    })

    describe.each(Object.keys(tools))('saved by %s', (saver) => {
      test('are the same for both tools', async () => {
        const file = snapshotBy(saver)
        const words = ['snapshot', 'status', file, '-w', 'json']
        const ours = JSON.parse(await done('tsctl', words))
        const theirs = JSON.parse(await done('etcdctl', words))
        // 3.4 counts the items of all buckets, later releases the keys that live.
        expect(ours).toEqual({ ...theirs, totalKey: Number(state.count), version: '' })
        expect(theirs.totalKey).toBe(await itemCount(file))
        expect(ours.revision).toBe(state.revision)
        const report = await verifySnapshot(file, { files })
        expect(report).toEqual({ digest: 'valid', findings: [], findingCount: 0 })
        const hash = JSON.parse(await done('tsctl', ['snapshot', 'hashkv', file, '-w', 'json']))
        expect(hash).toEqual({
          hash: state.hashes[state.revision],
          hashRevision: state.revision,
          compactRevision: state.compactRevision,
        })
      })

      describe.each(restorers)('restored by %s', (restorer) => {
        const restored = (): string => path.join(dir, `${source}-${saver}-${restorer}`)

        beforeAll(async () => {
          const words = ['snapshot', 'restore', snapshotBy(saver), `--data-dir=${restored()}`]
          await done(restorer, words)
        })

        test.each(hosts)('are all there when %s starts', async (host) => {
          const dataDir = `${restored()}-${host}`
          await cp(restored(), dataDir, { recursive: true })
          await using server = await start(host, dataDir)
          expect(await as(credentials, server.endpoint, wholeState)).toEqual({
            ...state,
            members: [{ ID: '10276657743932975437', name: 'default', isLearner: false }],
          })
          const guest = { name: 'guest', password: 'guest' }
          const key = Buffer.from('key/000003')
          const got = await as(guest, server.endpoint, ({ kv }) => kv.range({ key }))
          expect(String(got.kvs[0]?.value)).toBe('back')
          const written = await as(credentials, server.endpoint, ({ kv }) => kv.put({ key }))
          expect(written.header?.revision).toBe(String(state.revision + 1))
          await server.stop()
        })
      })
    })
  })
})

async function itemCount(file: string): Promise<number> {
  const database = await openDatabase(file, { files })
  let count = 0
  for (const name of database.bucketNames) {
    for await (const leaf of database.leaves(name)) count += leaf.count
  }
  await database.close()
  return count
}
