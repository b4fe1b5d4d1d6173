// golden.test.ts: the log that a restore makes for one member, byte for byte as etcdutl 3.5 and
// 3.6 write it.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ConfChange, ConfState } from '../../../src/api/gen/raft.js'
import { walSnapshots } from '../../../src/storage/wal/reader.js'
import { createWal, openWal } from '../../../src/storage/wal/writer.js'
import { dir, emptyDisk, firstFile, metadata } from './small-log.js'

const golden = Buffer.from(
  readFileSync('fixtures/disk/wal/restored-member.hex', 'utf8').replaceAll('\n', ''),
  'hex',
)
const { nodeId } = metadata
const confState = ConfState.fromPartial({ voters: [nodeId] })

test('the log of a restored member equals the one that etcdutl writes', async () => {
  const { files, options } = await emptyDisk({ segmentBytes: 64_000_000 })
  const wal = await createWal(dir, metadata, options)
  const member = '{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default"}'
  const change = { id: 0n, type: 0 as const, node_id: nodeId, context: Buffer.from(member) }
  const data = Buffer.from(ConfChange.encode(change).finish())
  const entry = { Type: 1 as const, Term: 1, Index: 1, Data: data }
  await wal.save({ term: 1, vote: nodeId, commit: 1 }, [entry], true)
  await wal.saveSnapshot({ index: 1, term: 1, confState })
  await wal.close()

  const content = await files.readFile(firstFile)
  expect(content.length).toBe(64_000_000)
  expect(content.subarray(0, 288).toString('hex')).toBe(golden.toString('hex'))
  expect(content.subarray(288).every((byte) => byte === 0)).toBe(true)

  expect(await walSnapshots(dir, options)).toEqual([
    { index: 0, term: 0 },
    { index: 1, term: 1 },
  ])
  const opened = await openWal(dir, { index: 0, term: 0 }, options)
  expect(opened).toMatchObject({
    metadata,
    hardState: { term: 1, vote: nodeId, commit: 1 },
    entries: [entry],
  })
  await opened.wal.close()
})
