// What a leader replaced must not come back after a restart, wherever a snapshot stands in the log.
import { expect, test } from 'vitest'
import { createWal, openWal } from '../../../src/storage/wal/writer.js'
import { type Disk, dir, emptyDisk, entries, entry, metadata, state } from './small-log.js'

async function read({ options }: Disk, from: { index: number; term: number }) {
  const { wal, entries: found } = await openWal(dir, from, options)
  await wal.close()
  const ids = found.map(({ Term, Index }) => `${Term}/${Index}`)
  return { ids, lastIndex: wal.lastIndex }
}

test('an entry at the snapshot that was replaced took those behind it along', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 5), true)
  await wal.save(state(0, 2), [entry(4, { term: 2 })], true)
  await wal.save(state(4, 2), [], true)
  await wal.saveSnapshot({ index: 4, term: 2 })
  await wal.close()
  expect(await read(disk, { index: 4, term: 2 })).toEqual({ ids: [], lastIndex: 4 })
})

test('entries behind a snapshot of the own log stay', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(3), entries(1, 5), true)
  await wal.saveSnapshot({ index: 3, term: 1 })
  await wal.save(state(4), [], true)
  await wal.close()
  expect(await read(disk, { index: 3, term: 1 })).toEqual({ ids: ['1/4', '1/5'], lastIndex: 5 })
})

test('a snapshot of a leader that the log did not agree with replaced all of it', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 6), true)
  await wal.saveSnapshot({ index: 4, term: 2 })
  await wal.save(state(4, 2), [], true)
  await wal.close()
  expect(await read(disk, { index: 4, term: 2 })).toEqual({ ids: [], lastIndex: 4 })
})

test('what came after the snapshot of a leader stays, also behind a checkpoint of it', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 6), true)
  await wal.saveSnapshot({ index: 4, term: 2 })
  await wal.save(state(4, 2), [entry(5, { term: 2 })], true)
  await wal.saveSnapshot({ index: 4, term: 2 })
  await wal.close()
  expect(await read(disk, { index: 4, term: 2 })).toEqual({ ids: ['2/5'], lastIndex: 5 })
})
