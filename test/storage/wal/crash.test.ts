// crash.test.ts: the promise of the log under power failures. A seed decides what is written, how
// large, when the power goes, when the disk is full, and what of the unsynced survives. After
// each crash the log must open, hold everything that was acknowledged, and nothing that is not a
// prefix of what was asked for.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry, HardState } from '../../../src/api/gen/raft.js'
import { NoSpaceError, WalBrokenError } from '../../../src/storage/errors.js'
import { createWal, openWal, type Wal } from '../../../src/storage/wal/writer.js'
import { PowerFailure, seededRandom } from '../../support/fake-files.js'
import { type Disk, dir, emptyDisk, entry, metadata, origin } from './small-log.js'

/** One record: what the log would hold if it were the last that reached the disk. */
interface Asked {
  log: readonly Entry[]
  state: HardState
}

class Member {
  /** Every record so far that may be on disk, oldest first; the first is the state at the start. */
  asked: Asked[] = [{ log: [], state: { term: 0, vote: 0n, commit: 0 } }]
  /** How many of them surely are. */
  acknowledged = 1
  /** How many of them were answered, with or without a sync. */
  written = 1
  readonly #random: (limit: number) => number

  constructor(random: (limit: number) => number) {
    this.#random = random
  }

  get #last(): Asked {
    const last = this.asked.at(-1)
    if (last === undefined) throw new Error('nothing was ever asked')
    return last
  }

  /** Makes up the next save: new entries, at times over uncommitted ones, and a commit. */
  next(): { entries: Entry[]; state: HardState } {
    const { log, state } = this.#last
    const overwrites = this.#random(5) === 0 && log.length > state.commit
    const term = Math.max(1, state.term, log.at(-1)?.Term ?? 0) + (overwrites ? 1 : 0)
    const kept = overwrites ? state.commit + this.#random(log.length - state.commit) : log.length
    const entries = Array.from({ length: 1 + this.#random(3) }, (_, at) =>
      entry(kept + 1 + at, { term, size: this.#random(4) === 0 ? this.#random(1500) : 30 }),
    )
    const commit = state.commit + this.#random(kept - state.commit + 1)
    const after = { term, vote: metadata.nodeId, commit }
    const logs = entries.map((_, at) => [...log.slice(0, kept), ...entries.slice(0, at + 1)])
    this.asked.push(...logs.map((partly) => ({ log: partly, state })))
    this.asked.push({ log: logs.at(-1) ?? [], state: after })
    return { entries, state: after }
  }

  /** The disk came back with this; it must be what one of the records asked for left. */
  recover(entries: readonly Entry[], state: HardState): void {
    const candidates = this.asked.slice(this.acknowledged - 1)
    const found = candidates.filter(
      (asked) => isSameLog(asked.log, entries) && isDeepStrictEqual(asked.state, state),
    )
    expect(found.length, `${entries.length} entries, commit ${state.commit}`).toBeGreaterThan(0)
    this.asked = [{ log: entries, state }]
    this.acknowledged = 1
    this.written = 1
  }
}

const empty = Buffer.alloc(0)

const isSameLog = (a: readonly Entry[], b: readonly Entry[]): boolean =>
  a.length === b.length &&
  a.every(({ Term, Data }, at) => {
    const other = b[at]
    return other?.Term === Term && (Data ?? empty).equals(other.Data ?? empty)
  })

/** Saves, several at a time, until the power is gone. */
async function work(wal: Wal, member: Member, disk: Disk, random: (limit: number) => number) {
  while (disk.files.hasPower) {
    if (random(12) === 0) disk.files.spaceBytes = random(1000)
    const inFlight = Array.from({ length: 1 + random(4) }, async () => {
      const { entries, state } = member.next()
      const position = member.asked.length
      const sync = random(4) > 0
      await wal.save(state, entries, sync)
      // The file may hold what was not synced, so it is neither promised nor forgotten.
      if (sync) member.acknowledged = Math.max(member.acknowledged, position)
      member.written = Math.max(member.written, position)
    })
    const outcomes = await Promise.allSettled(inFlight)
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed?.reason instanceof NoSpaceError) {
      // All that failed is surely not in the log.
      member.asked.length = member.written
      member.acknowledged = member.written
      disk.files.spaceBytes = Number.POSITIVE_INFINITY
    } else if (failed !== undefined) {
      expect(disk.files.hasPower, String(failed.reason)).toBe(false)
    }
  }
}

async function start(disk: Disk, member: Member): Promise<Wal> {
  if (!(await disk.files.exists(dir))) {
    expect(member.acknowledged).toBe(1)
    return createWal(dir, metadata, disk.options)
  }
  const { wal, entries, hardState } = await openWal(dir, origin, disk.options)
  member.recover(entries, hardState)
  await checkHeads(disk)
  return wal
}

/** A reader may start at any segment, so each must begin with a checksum on its own. */
async function checkHeads({ files }: Disk): Promise<void> {
  for (const name of await files.list(dir)) {
    if (!name.endsWith('.wal')) continue
    const head = (await files.readFile(`${dir}/${name}`)).subarray(8, 10)
    expect([name, head.toString('hex')]).toEqual([name, '0804'])
  }
}

/** One life of a machine with many power failures. */
async function live(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const disk = await emptyDisk({ segmentBytes: 1024 + random(8192), seed: seed + 1 })
  const member = new Member(random)
  for (let round = 0; round < 12; round++) {
    disk.files.powerFailsAfter(random(round % 3 === 0 ? 12 : 60))
    try {
      await work(await start(disk, member), member, disk, random)
    } catch (error) {
      if (!(error instanceof PowerFailure)) throw error
    }
    disk.files.crash()
    disk.files.spaceBytes = Number.POSITIVE_INFINITY
  }
  if (await disk.files.exists(dir)) await (await start(disk, member)).close()
}

test('no power failure loses an acknowledged save or brings up one that was not asked for', async () => {
  await fc.assert(fc.asyncProperty(fc.nat(1_000_000_000), live), { numRuns: 60 })
})

test('what a full disk left of a write never mixes with the next write', async () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seededRandom(seed)
    const disk = await emptyDisk({ seed })
    const wal = await createWal(dir, metadata, disk.options)
    await wal.save(undefined, [entry(1)], true)
    disk.files.spaceBytes = random(1900)
    const large = entry(2, { size: 1900 })
    await expect(wal.save(undefined, [large], true)).rejects.toThrow(NoSpaceError)
    disk.files.spaceBytes = Number.POSITIVE_INFINITY
    // The write takes place, its sync does not.
    disk.files.powerFailsAfter(1)
    const other = entry(2, { term: 2, size: 1500 + random(300) })
    await expect(wal.save(undefined, [other], true)).rejects.toThrow(WalBrokenError)
    disk.files.crash()
    const opened = await openWal(dir, origin, disk.options)
    const logs = [[entry(1)], [entry(1), other]]
    expect(logs.some((log) => isSameLog(log, opened.entries))).toBe(true)
    await opened.wal.close()
  }
})
