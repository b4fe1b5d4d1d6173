// dir-lock.ts: keeps a second tsctl out of a data directory, and sees a running etcd in it.
//
// Ours is a file, member/tsctl.lock, that names its owner. A process that was killed leaves it
// behind, so it counts only while that very process lives: number, start time and boot must all
// be the same. etcd locks its log and db with system calls that Node does not have. They are
// listed in /proc/locks by inode, which shows an etcd that is there now; it cannot keep one from
// starting later. Where there is no /proc, only the process number is looked at.
import type { Files } from '../platform/files.js'
import { DataDirError } from './errors.js'

export interface LockOwner {
  /** One line that no other process has, now or later. */
  identity: string
  isAlive(identity: string): Promise<boolean>
}

/** Takes the lock; the function returned gives it back. */
export async function takeLock(
  file: string,
  owner: LockOwner,
  files: Files,
): Promise<() => Promise<void>> {
  if (!(await createLock(file, owner.identity, files))) {
    await removeStale(file, owner, files)
    if (!(await createLock(file, owner.identity, files))) throw inUse(file, 'another process')
  }
  // Another start that saw the file before our name was in it has taken it for a leftover.
  if ((await textOf(file, files)) !== owner.identity) throw inUse(file, 'another process')
  return async () => {
    if ((await textOf(file, files)) === owner.identity) await files.remove(file)
  }
}

async function createLock(file: string, identity: string, files: Files): Promise<boolean> {
  try {
    const handle = await files.open(file, 'create')
    try {
      await handle.write([Buffer.from(`${identity}\n`)], 0)
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Takes a lock of a dead process out of the way. Throws if its owner lives. */
async function removeStale(file: string, owner: LockOwner, files: Files): Promise<void> {
  const found = await textOf(file, files)
  if (found === undefined) return
  if (found !== '' && (await owner.isAlive(found))) throw inUse(file, `process ${pidOf(found)}`)
  // Another start may have found the same and be ahead of us: what is moved away must be what
  // was looked at, or else goes back.
  const aside = `${file}.${pidOf(owner.identity)}`
  await files.rename(file, aside)
  if ((await textOf(aside, files)) !== found) {
    await files.rename(aside, file)
    throw inUse(file, 'another process')
  }
  await files.remove(aside)
}

function inUse(file: string, who: string): DataDirError {
  const dir = file.replace(/\/member\/[^/]*$/, '')
  return new DataDirError(`data-dir "${dir}" is in use by ${who} (${file})`)
}

async function textOf(file: string, files: Files): Promise<string | undefined> {
  try {
    return (await files.readFile(file)).toString().trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const pidOf = (identity: string): string => identity.split(' ')[0] ?? ''

/** This process, as the system knows it. */
export async function thisProcess(files: Files): Promise<LockOwner> {
  const identityOf = async (pid: number): Promise<string | undefined> => {
    const stat = await textOf(`/proc/${pid}/stat`, files)
    if (stat === undefined) return undefined
    const boot = await textOf('/proc/sys/kernel/random/boot_id', files)
    // The name in parentheses may hold anything; start time is the twentieth field behind it.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${pid} ${start} ${boot}`
  }
  const own = await identityOf(process.pid)
  if (own === undefined) {
    return { identity: `${process.pid}`, isAlive: async (found) => hasPid(Number(pidOf(found))) }
  }
  return {
    identity: own,
    isAlive: async (found) => found === (await identityOf(Number(pidOf(found)))),
  }
}

function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The first of `candidates` on which somebody holds a lock as etcd does. */
export async function lockedByEtcd(
  candidates: readonly string[],
  files: Files,
): Promise<{ file: string; pid: string | undefined } | undefined> {
  const locks = parseLocks((await textOf('/proc/locks', files)) ?? '')
  if (locks.size === 0) return undefined
  for (const file of candidates) {
    const inode = (await files.stat(file))?.inode
    const pid = inode === undefined ? undefined : locks.get(inode)
    if (pid !== undefined) return { file, pid: pid === '-1' ? undefined : pid }
  }
  return undefined
}

/** From lines such as `1: OFDLCK ADVISORY  WRITE -1 fe:00:1234 0 EOF`: inode to process. */
function parseLocks(text: string): Map<bigint, string> {
  const line = /^\d+: (?:FLOCK|OFDLCK)\s+\S+\s+WRITE\s+(-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /
  const found = new Map<bigint, string>()
  for (const lock of text.split('\n')) {
    const [, pid, inode] = line.exec(lock) ?? []
    if (pid !== undefined && inode !== undefined) found.set(BigInt(inode), pid)
  }
  return found
}
