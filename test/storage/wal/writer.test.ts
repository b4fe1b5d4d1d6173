// writer.test.ts: what a caller of the log is promised: order, shared syncs, segments, and what
// is left of the log after the disk refused something.

import { expect, test } from 'vitest'
import type { Entry } from '../../../src/api/gen/raft.js'
import { NoSpaceError, WalBrokenError } from '../../../src/storage/errors.js'
import { walSnapshots } from '../../../src/storage/wal/reader.js'
import { createWal, openWal } from '../../../src/storage/wal/writer.js'
import {
  type Disk,
  dir,
  emptyDisk,
  entries,
  entry,
  firstFile,
  firstName,
  framesOf,
  metadata,
  origin,
  state,
} from './small-log.js'

async function readBack(disk: Disk, from = origin): Promise<Entry[]> {
  const { wal, entries: found } = await openWal(dir, from, disk.options)
  await wal.close()
  return found
}

test('what is saved is read back, with the last state', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0, 1), entries(1, 2), true)
  await wal.save(undefined, [], true)
  await wal.save(state(2, 3), [entry(3, { term: 3 })], true)
  expect(wal.lastIndex).toBe(3)
  await wal.close()
  const opened = await openWal(dir, origin, disk.options)
  expect(opened).toMatchObject({ metadata, hardState: state(2, 3) })
  expect(opened.entries).toEqual([...entries(1, 2), entry(3, { term: 3 })])
  expect(opened.wal.lastIndex).toBe(3)
  await opened.wal.close()
})

test('an entry of a higher term replaces the one of its index and all after it', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(1), entries(1, 5), true)
  await wal.save(state(1, 2), [entry(3, { term: 2 })], true)
  await wal.close()
  expect(await readBack(disk)).toEqual([...entries(1, 2), entry(3, { term: 2 })])
})

test('many saves at once share a few syncs and keep their order', async () => {
  const disk = await emptyDisk({ segmentBytes: 1_000_000 })
  const wal = await createWal(dir, metadata, disk.options)
  disk.files.counts.syncs = 0
  const finished: number[] = []
  const first = wal.save(state(0), [entry(1)], true).then(() => finished.push(1))
  let others: Promise<unknown> = Promise.resolve()
  disk.files.onSync = () => {
    // While the first sync is under way.
    disk.files.onSync = () => {}
    others = Promise.all(
      entries(2, 500).map(async (next) => {
        await wal.save(undefined, [next], true)
        finished.push(next.Index)
      }),
    )
  }
  await first
  await others
  expect(disk.files.counts.syncs).toBe(2)
  expect(finished).toEqual(Array.from({ length: 501 }, (_, at) => at + 1))
  await wal.close()
  expect(await readBack(disk)).toEqual(entries(1, 501))
})

test('a save is not answered before its sync has ended', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  const events: string[] = []
  disk.files.onSync = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    events.push('synced')
  }
  await wal.save(state(0), [entry(1)], true)
  events.push('answered')
  expect(events).toEqual(['synced', 'answered'])
  disk.files.onSync = () => {}
  await wal.close()
})

test('a commit that moved alone costs no write, and is there after a close', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 3), true)
  disk.files.counts.writes = 0
  await wal.save(state(1), [], false)
  await wal.save(state(2), [], false)
  expect(disk.files.counts.writes).toBe(0)
  await wal.close()
  const opened = await openWal(dir, origin, disk.options)
  expect(opened.hardState).toEqual(state(2))
  await opened.wal.close()
})

test('a state that was held back stands before what is saved after it', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 3), true)
  await wal.save(state(2), [], false)
  await wal.saveSnapshot({ index: 2, term: 1 })
  disk.files.crash()
  expect(await walSnapshots(dir, disk.options)).toEqual([origin, { index: 2, term: 1 }])
})

test('entries that do not follow are refused and change nothing', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), entries(1, 2), true)
  await expect(wal.save(undefined, [entry(4)], true)).rejects.toThrow('entry 4')
  await expect(wal.save(undefined, [entry(3), entry(5)], true)).rejects.toThrow('entry 5')
  await expect(wal.save(undefined, [entry(0)], true)).rejects.toThrow('entry 0')
  await wal.save(undefined, [entry(3)], true)
  await wal.close()
  await expect(wal.save(undefined, [entry(4)], true)).rejects.toThrow('closed')
  expect(await readBack(disk)).toEqual(entries(1, 3))
})

test('a full segment is cut to its length and the next begins with checksum and state', async () => {
  const disk = await emptyDisk({ segmentBytes: 2048 })
  const wal = await createWal(dir, metadata, disk.options)
  for (const next of entries(1, 60, { size: 100 }))
    await wal.save(state(next.Index - 1), [next], true)
  await wal.close()
  const names = await disk.files.list(dir)
  expect(names.length).toBeGreaterThan(4)
  expect(names[0]).toBe(firstName)
  const sizes = await Promise.all(names.map((name) => disk.files.readFile(`${dir}/${name}`)))
  for (const content of sizes.slice(0, -1)) {
    expect(content.length).toBeGreaterThanOrEqual(2048)
    expect(framesOf(Buffer.concat([content, Buffer.alloc(8)])).at(-1)?.end).toBe(content.length)
  }
  expect(await readBack(disk)).toEqual(entries(1, 60, { size: 100 }))
  // A segment in the middle says whose log it is, and where it stands: the ones before may go.
  const first = Number.parseInt(names[2]?.slice(17, 33) ?? '', 16)
  await withSnapshotAt(disk, first)
  for (const name of names.slice(0, 2)) await disk.files.remove(`${dir}/${name}`)
  const opened = await openWal(dir, { index: first, term: 1 }, disk.options)
  expect(opened).toMatchObject({ metadata, hardState: state(59) })
  expect(opened.entries).toEqual(entries(first + 1, 60 - first, { size: 100 }))
  await opened.wal.close()
})

async function withSnapshotAt(disk: Disk, index: number): Promise<void> {
  const { wal } = await openWal(dir, origin, disk.options)
  await wal.saveSnapshot({ index, term: 1 })
  await wal.close()
}

test('release keeps five segments and all that a reader from the snapshot needs', async () => {
  const disk = await emptyDisk({ segmentBytes: 1024 })
  const wal = await createWal(dir, metadata, disk.options)
  for (const next of entries(1, 80, { size: 100 }))
    await wal.save(state(next.Index - 1), [next], true)
  const before = await disk.files.list(dir)
  await wal.saveSnapshot({ index: 20, term: 1 })
  await wal.release(20)
  const kept = await disk.files.list(dir)
  expect(kept.length).toBeLessThan(before.length)
  expect(kept).toEqual(before.slice(-kept.length))
  await wal.saveSnapshot({ index: 79, term: 1 })
  await wal.release(79)
  await wal.close()
  expect((await disk.files.list(dir)).length).toBe(5)
  const found = await readBack(disk, { index: 79, term: 1 })
  expect(found).toEqual(entries(80, 1, { size: 100 }))
  await expect(readBack(disk, { index: 20, term: 1 })).rejects.toThrow('expected a segment')
})

test('after release at a snapshot the log opens from that snapshot', async () => {
  for (let index = 1; index < 40; index += 2) {
    const disk = await emptyDisk({ segmentBytes: 512 })
    const wal = await createWal(dir, metadata, disk.options)
    await wal.save(state(0), entries(1, index, { size: 100 }), true)
    for (const next of entries(index + 1, 40 - index, { size: 100 })) {
      await wal.save(state(next.Index - 1), [next], true)
    }
    await wal.save(state(40), [], true)
    await wal.saveSnapshot({ index, term: 1 })
    await wal.release(index)
    await wal.close()
    expect(await readBack(disk, { index, term: 1 })).toEqual(
      entries(index + 1, 40 - index, { size: 100 }),
    )
  }
})

test('no room: the save fails, nothing of it stays, and the log goes on when there is room', async () => {
  for (let room = 0; room < 2400; room += 100) {
    const disk = await emptyDisk()
    const wal = await createWal(dir, metadata, disk.options)
    await wal.save(state(0), entries(1, 2), true)
    await wal.save(state(1), [], false)
    const before = await disk.files.readFile(firstFile)
    disk.files.spaceBytes = room
    const failing = [
      wal.save(state(2), entries(3, 4, { size: 600 }), true),
      wal.save(undefined, [entry(7)], true),
    ]
    for (const save of failing) await expect(save).rejects.toThrow(NoSpaceError)
    expect((await disk.files.readFile(firstFile)).equals(before)).toBe(true)
    expect(wal.lastIndex).toBe(2)
    disk.files.spaceBytes = Number.POSITIVE_INFINITY
    await wal.save(state(2, 2), [entry(3, { term: 2 })], true)
    disk.files.crash()
    const { wal: again, entries: found, hardState } = await openWal(dir, origin, disk.options)
    expect(found).toEqual([...entries(1, 2), entry(3, { term: 2 })])
    expect(hardState).toEqual(state(2, 2))
    await again.close()
  }
})

test('no room for the next segment: the log goes on in the full one', async () => {
  const disk = await emptyDisk({ segmentBytes: 1024 })
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), [entry(1, { size: 500 })], true)
  disk.files.spaceBytes = 600 + 20
  await wal.save(undefined, [entry(2, { size: 500 })], true)
  expect(await disk.files.list(dir)).toContain(firstName)
  disk.files.spaceBytes = 64
  await wal.save(undefined, [entry(3, { size: 1 })], true)
  disk.files.spaceBytes = Number.POSITIVE_INFINITY
  await wal.save(undefined, [entry(4)], true)
  await wal.close()
  expect((await disk.files.list(dir)).filter((name) => name.endsWith('.wal')).length).toBe(2)
  expect((await readBack(disk)).map(({ Index }) => Index)).toEqual([1, 2, 3, 4])
})

test('after a failed sync the log takes nothing more, and says why', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  await wal.save(state(0), [entry(1)], true)
  disk.files.onSync = () => {
    disk.files.onSync = () => {}
    throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
  }
  const failing = [wal.save(undefined, [entry(2)], true), wal.save(undefined, [entry(3)], true)]
  for (const save of failing) await expect(save).rejects.toThrow(WalBrokenError)
  await expect(wal.save(undefined, [entry(2)], true)).rejects.toThrow(
    `wal ${dir} takes no more writes, its last sync failed: EIO: i/o error, fdatasync`,
  )
  await expect(wal.saveSnapshot({ index: 1, term: 1 })).rejects.toThrow(WalBrokenError)
  await wal.close()
})

test('a sync that fails for lack of space breaks the log like any other', async () => {
  const disk = await emptyDisk()
  const wal = await createWal(dir, metadata, disk.options)
  disk.files.onSync = () => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  }
  await expect(wal.save(undefined, [entry(1)], true)).rejects.toThrow(WalBrokenError)
  await wal.close()
})

test('a log is not made over another', async () => {
  const disk = await emptyDisk()
  await (await createWal(dir, metadata, disk.options)).close()
  await expect(createWal(dir, metadata, disk.options)).rejects.toThrow(`wal-dir "${dir}" exists`)
})

test('a log has its first records from its first moment on', async () => {
  const disk = await emptyDisk()
  const first = { hardState: state(2), entries: entries(1, 2) }
  const wal = await createWal(dir, metadata, { ...disk.options, first })
  disk.files.crash()
  expect(wal.lastIndex).toBe(2)
  const opened = await openWal(dir, origin, disk.options)
  expect(opened).toMatchObject({ hardState: state(2), entries: entries(1, 2) })
  await opened.wal.save(undefined, [entry(3)], true)
  await opened.wal.close()
  expect(await readBack(disk)).toEqual(entries(1, 3))
})

test('a log appears only after what it waits for', async () => {
  const disk = await emptyDisk()
  let finish = () => {}
  const after = new Promise<void>((resolve) => {
    finish = resolve
  })
  const making = createWal(dir, metadata, { ...disk.options, after })
  await new Promise((resolve) => setImmediate(resolve)) // all that memory allows is done
  expect(await disk.files.exists(`${dir}.tmp/${firstName}`)).toBe(true)
  expect(await disk.files.exists(dir)).toBe(false)
  finish()
  await (await making).close()
  expect(await disk.files.exists(dir)).toBe(true)
})

test('a log does not appear if what it waits for fails', async () => {
  const disk = await emptyDisk()
  const after = Promise.reject(new Error('no database'))
  await expect(createWal(dir, metadata, { ...disk.options, after })).rejects.toThrow('no database')
  expect(await disk.files.exists(dir)).toBe(false)
})

test('a half-made log of an earlier start is no obstacle', async () => {
  const disk = await emptyDisk()
  await disk.files.makeDir(`${dir}.tmp`)
  await disk.files.open(`${dir}.tmp/${firstName}`, 'create')
  await (await createWal(dir, metadata, disk.options)).close()
  expect(await disk.files.list('/data/member')).toEqual(['wal'])
})

test('a segment of another member, a gap in the numbers or in the entries is damage', async () => {
  const disk = await emptyDisk({ segmentBytes: 512 })
  const wal = await createWal(dir, metadata, disk.options)
  for (const next of entries(1, 12, { size: 100 })) await wal.save(state(0), [next], true)
  await wal.close()
  const names = (await disk.files.list(dir)).filter((name) => name.endsWith('.wal'))
  const [, second = ''] = names
  await disk.files.remove(`${dir}/${second}`)
  await expect(readBack(disk)).rejects.toThrow('sequence 2, expected 1')
})
