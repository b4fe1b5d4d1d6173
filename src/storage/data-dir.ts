// data-dir.ts: the data directory: what may stand in it, what must, and who uses it.
//
//     DATA/                       0700
//     DATA/member/tsctl.lock      while a tsctl runs
//     DATA/member/snap/db         the checkpoint; must be there once the log cannot replace it
//     DATA/member/snap/*.snap     who is in the cluster
//     DATA/member/wal/*.wal       the log, unless --wal-dir says where else
//
// Decided here, from names alone: whether the directory is etcd's, writable, free, and complete.
// What is in the files is for others: the log for the reader of the log, and whether db and log
// fit together for the server, which alone knows the index that db was written at.
import path from 'node:path'
import type { Files } from '../platform/files.js'
import type { Log } from '../platform/log.js'
import { type LockOwner, lockedByEtcd, takeLock, thisProcess } from './dir-lock.js'
import { DataDirError } from './errors.js'
import { parseSegmentName } from './wal/segment.js'

export { DataDirError } from './errors.js'

export interface DataDirOptions {
  files: Files
  log: Log
  /** Where the log lives; default DIR/member/wal. */
  walDir?: string
  /** In whose name the lock is held; default this process. */
  owner?: LockOwner
}

export interface DataDir {
  /** Neither log nor db nor snapshot: a member that has never run. */
  readonly fresh: boolean
  readonly hasLog: boolean
  /**
   * False with a log: the log goes back to its first entry and can replace the db. True without
   * a log: a first start was cut short, or the log is lost; the db's consistent index tells.
   */
  readonly hasDb: boolean
  readonly dir: string
  readonly snapDir: string
  readonly walDir: string
  /** member/snap/db, the checkpoint. */
  readonly dbFile: string
  /** Gives the directory free for the next process. */
  close(): Promise<void>
}

/** Checks, creates where needed, tidies and locks a data directory. Throws DataDirError. */
export async function openDataDir(dir: string, options: DataDirOptions): Promise<DataDir> {
  const { files } = options
  const memberDir = `${dir}/member`
  const snapDir = `${memberDir}/snap`
  const walDir = options.walDir ?? `${memberDir}/wal`
  const place: Place = { dir, memberDir, snapDir, walDir, dbFile: `${snapDir}/db` }
  await checkIsOurs(place, options)
  await makeWritable(place, options)
  const owner = options.owner ?? (await thisProcess(files))
  const unlock = await takeLock(`${memberDir}/tsctl.lock`, owner, files)
  try {
    await checkNoEtcd(place, files)
    await removeLeftovers(place, files)
    const found = await checkComplete(place, options)
    return { dir, snapDir, walDir, dbFile: place.dbFile, ...found, close: unlock }
  } catch (error) {
    await unlock()
    throw error
  }
}

interface Place {
  dir: string
  memberDir: string
  snapDir: string
  walDir: string
  dbFile: string
}

/** What every file system may have at its top. */
const harmless = new Set(['lost+found', '.touch'])

async function checkIsOurs(place: Place, { files, log }: DataDirOptions): Promise<void> {
  const { dir, memberDir, walDir } = place
  const names = (await namesIn(dir, 'data-dir', files)).filter((name) => !harmless.has(name))
  if (names.includes('proxy')) {
    throw new DataDirError(`data-dir "${dir}" was used by an etcd proxy: it holds "proxy"`)
  }
  if (names.length > 0 && !names.includes('member')) {
    throw foreign(`data-dir "${dir}"`, names, 'no "member"')
  }
  const others = names.filter((name) => name !== 'member')
  if (others.length > 0) log.warn('found names that are not of etcd', { dir, names: others })
  const inMember = (await namesIn(memberDir, 'directory', files)).filter(
    (name) => !harmless.has(name) && !name.startsWith('tsctl.lock') && name !== 'wal.tmp',
  )
  if (inMember.length > 0 && !inMember.includes('snap') && !inMember.includes('wal')) {
    throw foreign(`data-dir "${dir}"`, inMember, 'neither "wal" nor "snap" in member')
  }
  const inWal = (await namesIn(walDir, 'wal-dir', files)).filter((name) => !harmless.has(name))
  if (inWal.length > 0 && !inWal.some((name) => parseSegmentName(name))) {
    throw foreign(`wal-dir "${walDir}"`, inWal, 'no log')
  }
}

/** None for a directory that is not there. */
async function namesIn(dir: string, what: string, files: Files): Promise<string[]> {
  try {
    const stat = await files.stat(dir)
    if (stat === undefined) return []
    if (!stat.isDirectory) throw new DataDirError(`${what} "${dir}" is a file, not a directory`)
    return await files.list(dir)
  } catch (error) {
    throw unusable('read', dir, error)
  }
}

function foreign(what: string, names: readonly string[], missing: string): DataDirError {
  const shown = names.slice(0, 3).map((name) => `"${name}"`)
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return new DataDirError(
    `${what} is not a directory of etcd: found ${shown.join(', ')}${more}, and ${missing}`,
  )
}

async function makeWritable(place: Place, { files, log }: DataDirOptions): Promise<void> {
  const { dir, memberDir, snapDir, walDir } = place
  const made: string[] = []
  const found: string[] = []
  for (const each of [dir, memberDir, snapDir]) {
    try {
      const stat = await files.stat(each)
      if (stat === undefined) {
        await files.makeDir(each)
        made.push(each)
        continue
      }
      found.push(each)
      if ((stat.mode & 0o077) !== 0) {
        const mode = stat.mode.toString(8)
        log.warn('directory is open to others, 0700 is wanted', { dir: each, mode })
      }
    } catch (error) {
      throw unusable('create', each, error)
    }
  }
  // All at once: they are in one journal, whose first sync is that of the others.
  await Promise.all(made.map((each) => syncParent(each, files)))
  if (await files.exists(walDir)) found.push(walDir)
  for (const each of found) await touch(each, files)
}

async function syncParent(made: string, files: Files): Promise<void> {
  try {
    await files.syncDir(path.dirname(made))
  } catch (error) {
    throw unusable('create', made, error)
  }
}

async function touch(dir: string, files: Files): Promise<void> {
  const file = `${dir}/.touch`
  try {
    await files.remove(file)
    await (await files.open(file, 'create')).close()
    await files.remove(file)
  } catch (error) {
    throw unusable('write to', dir, error)
  }
}

function unusable(action: string, dir: string, cause: unknown): DataDirError {
  if (cause instanceof DataDirError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new DataDirError(`cannot ${action} directory "${dir}": ${reason}`, { cause })
}

async function checkNoEtcd({ dir, dbFile, walDir }: Place, files: Files): Promise<void> {
  const segments = (await segmentNames(walDir, files)).map((name) => `${walDir}/${name}`)
  const held = await lockedByEtcd([dbFile, ...segments], files)
  if (held === undefined) return
  const who = held.pid === undefined ? 'another process' : `process ${held.pid}`
  throw new DataDirError(`data-dir "${dir}" is in use by ${who}, which locks ${held.file}`)
}

/** Half-written files of a process that was stopped. */
async function removeLeftovers({ snapDir }: Place, files: Files): Promise<void> {
  for (const name of await files.list(snapDir)) {
    if (/^(db\.tmp\.|tmp)/.test(name)) await files.remove(`${snapDir}/${name}`)
  }
}

async function checkComplete(
  place: Place,
  { files, log }: DataDirOptions,
): Promise<Pick<DataDir, 'fresh' | 'hasLog' | 'hasDb'>> {
  const { dir, memberDir, snapDir, walDir, dbFile } = place
  const segments = await segmentNames(walDir, files)
  const inSnap = await files.list(snapDir)
  const hasDb = inSnap.includes('db')
  const hasSnap = inSnap.some((name) => /\.snap(\.db)?$/.test(name))
  if (segments.length === 0) {
    const elsewhere = `${memberDir}/wal`
    const isElsewhere = walDir !== elsewhere && (await segmentNames(elsewhere, files)).length > 0
    if (hasSnap || isElsewhere) {
      const hint = isElsewhere ? `; one is in ${elsewhere}` : ''
      throw new DataDirError(`data-dir "${dir}" holds data but no log in ${walDir}${hint}`)
    }
    return { fresh: !hasDb, hasLog: false, hasDb }
  }
  if (hasDb || inSnap.some((name) => name.endsWith('.snap.db'))) {
    return { fresh: false, hasLog: true, hasDb }
  }
  const first = parseSegmentName(segments[0] ?? '')
  if (hasSnap || first?.sequence !== 0) {
    throw new DataDirError(`data-dir "${dir}" holds a log but no ${dbFile}, which it builds on`)
  }
  log.warn('no db beside the log; the log will be replayed from its start', { dir })
  return { fresh: false, hasLog: true, hasDb }
}

async function segmentNames(walDir: string, files: Files): Promise<string[]> {
  if (!(await files.exists(walDir))) return []
  return (await files.list(walDir)).filter((name) => parseSegmentName(name) !== undefined)
}
