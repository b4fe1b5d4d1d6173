// real-etcd.test.ts: logs and .snap files of a real etcd read here, and ours read by it.
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { ConfChange, ConfState, Entry, HardState } from '../../../src/api/gen/raft.js'
import { InternalRaftRequest } from '../../../src/api/gen/raft_internal.js'
import { Metadata, SnapshotRecord } from '../../../src/api/gen/wal.js'
import { systemFiles } from '../../../src/platform/files.js'
import { silentLog } from '../../../src/platform/log.js'
import { encodeMember } from '../../../src/storage/schema.js'
import { readNewestSnapFile, writeSnapFile } from '../../../src/storage/snap-file.js'
import { readLog, walSnapshots } from '../../../src/storage/wal/reader.js'
import { FrameWriter, RecordType } from '../../../src/storage/wal/record.js'
import { scanSegment } from '../../../src/storage/wal/scan.js'
import { createWal, openWal } from '../../../src/storage/wal/writer.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../../support/real-etcd.js'
import { metadata, origin } from './small-log.js'

const options = { files: systemFiles, log: silentLog }
const inData = (etcd: RealEtcd, name: string) => `${etcd.dir}/data/member/${name}`

/** What a server proposes for a put. */
function putEntry(index: number, term: number, [key, value]: [string, string]): Entry {
  const request = InternalRaftRequest.fromPartial({
    header: { ID: String(1000 + index) },
    put: { key: Buffer.from(key), value: Buffer.from(value), lease: '0' },
  })
  const data = Buffer.from(InternalRaftRequest.encode(request).finish())
  return { Type: 0, Term: term, Index: index, Data: data }
}

/** Encodes all records of a segment anew, from their decoded meaning. */
async function encodedAnew(file: string): Promise<{ again: Buffer; used: Buffer; count: number }> {
  const handle = await systemFiles.open(file, 'read')
  const frames = new FrameWriter(0)
  let count = 1
  frames.checksum()
  const end = await scanSegment({ handle, file, isLast: true }, 0, ({ type, data }) => {
    count++
    if (type === RecordType.entry) frames.entry(Entry.decode(data))
    if (type === RecordType.state) frames.state(HardState.decode(data))
    if (type === RecordType.snapshot) frames.snapshot(SnapshotRecord.decode(data))
    if (type === RecordType.metadata) {
      const { NodeID, ClusterID } = Metadata.decode(data)
      frames.metadata({ nodeId: NodeID, clusterId: ClusterID })
    }
  })
  await handle.close()
  const used = (await readFile(file)).subarray(0, end.offset)
  return { again: Buffer.from(frames.bytes), used, count }
}

describeWithEtcd('a real etcd', () => {
  test('writes a log that reads here, and that comes out the same when it is encoded anew', async () => {
    await using etcd = await startRealEtcd({ flags: ['--snapshot-count=8'] })
    for (let at = 0; at < 20; at++)
      await etcd.etcdctl(['put', `key${at}`], 'x'.repeat(1 + at * 100))
    await etcd.stop('SIGKILL')
    const walDir = inData(etcd, 'wal')
    const [first = ''] = (await readdir(walDir)).filter((name) => name.endsWith('.wal'))
    const { again, used, count } = await encodedAnew(`${walDir}/${first}`)
    expect(count).toBeGreaterThan(25)
    expect(again.equals(used)).toBe(true)

    const log = await readLog(walDir, origin, options)
    expect(log.entries.map(({ Index }) => Index)).toEqual(log.entries.map((_, at) => at + 1))
    const puts = log.entries.flatMap((entry) => putOf(entry))
    expect(puts).toEqual(Array.from({ length: 20 }, (_, at) => `key${at}=${1 + at * 100}`))

    const positions = await walSnapshots(walDir, options)
    expect(positions.length).toBeGreaterThan(2)
    const usable = (at: { index: number }) => positions.some(({ index }) => index === at.index)
    const snap = await readNewestSnapFile(inData(etcd, 'snap'), usable, options)
    expect(snap).toMatchObject({
      ...positions.at(-1),
      confState: { voters: [log.metadata.nodeId], learners: [] },
      tree: {
        members: [{ id: log.metadata.nodeId, isLearner: false, attributes: { name: 'default' } }],
        removed: [],
        version: '3.4.0',
      },
    })
  })

  test('goes on with its log after we have written to it', async () => {
    await using etcd = await startRealEtcd()
    await etcd.etcdctl(['put', 'theirs', '1'])
    await etcd.stop()
    const { wal, hardState, entries } = await openWal(inData(etcd, 'wal'), origin, options)
    const { term } = hardState
    const next = (entries.at(-1)?.Index ?? 0) + 1
    const ours = Array.from({ length: 50 }, (_, at) =>
      putEntry(next + at, term, [`ours${at}`, `value${at}`]),
    )
    await wal.save({ ...hardState, commit: next + 49 }, ours, true)
    await wal.close()
    await etcd.start()
    expect(await etcd.etcdctl(['get', 'theirs'])).toBe('theirs\n1\n')
    expect(await etcd.etcdctl(['get', 'ours49'])).toBe('ours49\nvalue49\n')
    const keys = await etcd.etcdctl(['get', 'ours', '--prefix', '--keys-only'])
    expect(keys.split('\n').filter((line) => line !== '').length).toBe(50)
    await etcd.etcdctl(['put', 'theirs', '2'])
    await etcd.stop()
    const again = await openWal(inData(etcd, 'wal'), origin, options)
    expect(again.entries.flatMap((entry) => putOf(entry)).at(-1)).toBe('theirs=1')
    await again.wal.close()
  })

  test('starts from a log of ours, and from our .snap file with it', async () => {
    await using etcd = await startRealEtcd()
    await etcd.stop()
    const { dir } = etcd
    await rm(`${dir}/data`, { recursive: true })
    await mkdir(inData(etcd, 'snap'), { recursive: true, mode: 0o700 })
    const { nodeId } = metadata
    const peerUrls = ['http://localhost:2380']
    const wal = await createWal(inData(etcd, 'wal'), metadata, { ...options, segmentBytes: 4096 })
    const member = { id: nodeId, peerUrls, isLearner: false, name: '', clientUrls: [] }
    const change: ConfChange = {
      id: 0n,
      type: 0,
      node_id: nodeId,
      context: Buffer.from(encodeMember(member)),
    }
    const first: Entry = {
      Type: 1,
      Term: 1,
      Index: 1,
      Data: Buffer.from(ConfChange.encode(change).finish()),
    }
    await wal.save({ term: 1, vote: nodeId, commit: 1 }, [first], true)
    for (let index = 2; index <= 101; index++) {
      const put = putEntry(index, 1, [`key${index}`, 'v'.repeat(index)])
      await wal.save({ term: 1, vote: nodeId, commit: index }, [put], true)
    }
    await wal.close()
    expect((await readdir(inData(etcd, 'wal'))).length).toBeGreaterThan(3)

    // All from the log: there is neither .snap nor db yet.
    await etcd.start()
    expect(await etcd.etcdctl(['get', 'key101'])).toBe(`key101\n${'v'.repeat(101)}\n`)
    await etcd.stop()

    // With a .snap in the middle of the log the members come from there.
    const opened = await openWal(inData(etcd, 'wal'), origin, options)
    const confState = ConfState.fromPartial({ voters: [nodeId] })
    const attributes = { name: 'from-snap', clientUrls: ['http://localhost:1'] }
    const tree = {
      members: [{ id: nodeId, peerUrls, isLearner: false, attributes }],
      removed: [0xabcn],
      version: '3.4.0',
    }
    await writeSnapFile(inData(etcd, 'snap'), { index: 50, term: 1, confState, tree }, options)
    await opened.wal.saveSnapshot({ index: 50, term: 1, confState })
    await opened.wal.close()
    await cp(`${dir}/data`, `${dir}/kept`, { recursive: true })
    await etcd.start()
    expect(await etcd.etcdctl(['get', 'key101'])).toBe(`key101\n${'v'.repeat(101)}\n`)
    expect(await etcd.etcdctl(['member', 'list'])).toContain('8e9e05c52164694d, started, default')
    await etcd.etcdctl(['put', 'after', '1'])
    await etcd.stop()
    const found = await readNewestSnapFile(`${dir}/kept/member/snap`, () => true, options)
    expect(found).toEqual({ index: 50, term: 1, confState, tree })
  })
})

function putOf({ Type, Data }: Entry): string[] {
  if (Type !== 0 || Data === undefined || Data.length === 0) return []
  try {
    const { put } = InternalRaftRequest.decode(Data)
    if (put === undefined) return []
    const size = put.value.length
    return [`${put.key}=${size}`]
  } catch {
    // A request of the v2 API, by which 3.4 publishes itself.
    return []
  }
}
