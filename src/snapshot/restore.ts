// restore.ts: makes the data directory of a new member from a snapshot file. Run for every member
// with the same snapshot and the same cluster text, it makes one new cluster with the old data and
// nothing of the old membership.
//
//     DATA/member/snap/db                    rebuilt from the snapshot, compact
//     DATA/member/snap/TERM-INDEX.snap       who the members are, for etcd 3.4 to 3.6
//     DATA/member/wal/0-0.wal                one entry a member, all committed
//
// What is found wrong before writing leaves no trace; what goes wrong later is removed again.
import path from 'node:path'
import { type ConfChange, ConfChange as ConfChangeCodec, ConfState } from '../api/gen/raft.js'
import type { FileHandle, Files } from '../platform/files.js'
import { type Log, silentLog } from '../platform/log.js'
import { clusterId } from '../storage/cluster-id.js'
import { type Bootstrap, InitialClusterError, initialMembers } from '../storage/initial-cluster.js'
import { encodeMember, type MemberRecord } from '../storage/schema.js'
import { writeSnapFile } from '../storage/snap-file.js'
import { createWal } from '../storage/wal/writer.js'
import { digestMismatch, hasDigest, readDigest } from './digest.js'
import { SnapshotError, systemReason } from './errors.js'
import { rebuildDatabase } from './rebuild.js'

export interface RestoreOptions extends Bootstrap {
  /** Default NAME.etcd. */
  dataDir?: string | undefined
  /** Default DATA/member/wal. */
  walDir?: string | undefined
  /** For a file that was copied from a data directory and has no digest. */
  skipHashCheck: boolean
  /** Added to the last revision, so that the new cluster's are above all that clients have seen. */
  bumpRevision: number
  /** Goes with bumpRevision: everything up to the new revision reads as compacted. */
  markCompacted: boolean
}

/** The values that flags have when they are not given. */
export const restoreDefaults: RestoreOptions = {
  name: 'default',
  initialCluster: 'default=http://localhost:2380',
  initialClusterToken: 'etcd-cluster',
  initialAdvertisePeerUrls: 'http://localhost:2380',
  skipHashCheck: false,
  bumpRevision: 0,
  markCompacted: false,
}

export interface RestoreParts {
  files: Files
  /** Default: nothing is told. */
  log?: Log
  /** Bytes of the database read so far, and how many there are. */
  progress?: (done: { readBytes: number; totalBytes: number }) => void
  /** Gives up, removes what was made, and rejects with the signal's reason. */
  signal?: AbortSignal
}

export interface RestoredMember {
  dataDir: string
  walDir: string
  memberId: bigint
  clusterId: bigint
  members: readonly MemberRecord[]
}

/** The one check of flags that is an error of usage (exit code 128), or undefined. */
export function bumpProblem(options: RestoreOptions): string | undefined {
  const { bumpRevision, markCompacted } = options
  const isComplete = bumpRevision > 0 === markCompacted
  return isComplete ? undefined : '--mark-compacted required if --revision-bump > 0'
}

/** Restores one member. Throws SnapshotError, or CorruptionError for a damaged database. */
export async function restoreSnapshot(
  file: string,
  options: RestoreOptions,
  parts: RestoreParts,
): Promise<RestoredMember> {
  const problem = bumpProblem(options)
  if (problem !== undefined) throw new SnapshotError(problem)
  const members = checkedMembers(options)
  const own = members.find(({ name }) => name === options.name)
  if (own === undefined) throw new SnapshotError(`no member ${options.name}`)
  const place = await freePlace(options, parts.files)
  await checkSource(file, options, parts)
  const restored: RestoredMember = {
    dataDir: place.dataDir,
    walDir: place.walDir,
    memberId: own.id,
    clusterId: clusterId(members.map(({ id }) => id)),
    members,
  }
  const { log = silentLog } = parts
  log.info('restoring snapshot', { path: file, ...place })
  try {
    await write(file, restored, place, options, parts)
  } catch (error) {
    await removeUnfinished(place, parts.files)
    const isOfSystem = error instanceof Error && 'code' in error && typeof error.code === 'string'
    if (!isOfSystem || error instanceof SnapshotError) throw error
    const reason = systemReason('write', place.dataDir, error)
    throw new SnapshotError(`could not restore ${file} (${reason})`, { cause: error })
  }
  log.info('restored snapshot', { path: file, ...place })
  return restored
}

interface Place {
  readonly dataDir: string
  readonly snapDir: string
  readonly walDir: string
  /** Empty, but it was there before and stays. */
  readonly hadDataDir: boolean
}

function checkedMembers(options: RestoreOptions): MemberRecord[] {
  try {
    return initialMembers(options)
  } catch (error) {
    if (!(error instanceof InitialClusterError)) throw error
    throw new SnapshotError(error.message, { cause: error })
  }
}

async function freePlace(options: RestoreOptions, files: Files): Promise<Place> {
  const dataDir = options.dataDir || `${options.name}.etcd`
  const walDir = options.walDir || path.join(dataDir, 'member', 'wal')
  const names = await namesIn(dataDir, files)
  if (names !== undefined && names.length > 0) throw new SnapshotError(notFree(dataDir))
  if (options.walDir && (await files.exists(walDir))) {
    throw new SnapshotError(`wal-dir "${walDir}" exists`)
  }
  const snapDir = path.join(dataDir, 'member', 'snap')
  return { dataDir, snapDir, walDir, hadDataDir: names !== undefined }
}

/** Undefined when there is no such directory. */
async function namesIn(dir: string, files: Files): Promise<string[] | undefined> {
  try {
    return (await files.exists(dir)) ? await files.list(dir) : undefined
  } catch (error) {
    throw new SnapshotError(notFree(dir), { cause: error })
  }
}

function notFree(dataDir: string): string {
  return `data-dir "${dataDir}" not empty or could not be read`
}

async function checkSource(
  file: string,
  { skipHashCheck }: RestoreOptions,
  { files, signal }: RestoreParts,
): Promise<void> {
  const handle = await openSource(file, files)
  try {
    if (skipHashCheck) return
    if (!hasDigest(await handle.size())) {
      throw new SnapshotError('snapshot missing hash but --skip-hash-check=false')
    }
    const { stored, computed } = await readDigest(handle, { signal })
    if (stored !== undefined && !stored.equals(computed)) {
      throw new SnapshotError(digestMismatch(stored, computed))
    }
  } finally {
    await handle.close()
  }
}

async function openSource(file: string, files: Files): Promise<FileHandle> {
  try {
    return await files.open(file, 'read')
  } catch (error) {
    throw new SnapshotError(systemReason('open', file, error), { cause: error })
  }
}

async function write(
  file: string,
  { memberId, clusterId: cluster, members }: RestoredMember,
  { dataDir, snapDir, walDir }: Place,
  { bumpRevision }: RestoreOptions,
  { files, log = silentLog, progress, signal }: RestoreParts,
): Promise<void> {
  await files.makeDir(snapDir)
  const raft = { index: members.length, term: 1 }
  const rebuilt = { members, raft, bumpRevision, progress, signal }
  await rebuildDatabase(file, path.join(snapDir, 'db'), rebuilt, files)
  const wal = await createWal(walDir, { nodeId: memberId, clusterId: cluster }, { files, log })
  try {
    const [first] = members
    const vote = first?.id ?? memberId
    await wal.save({ term: raft.term, vote, commit: raft.index }, members.map(addition), true)
    const confState = votersOnly(members)
    const tree = { members: members.map(withoutName), removed: [] }
    await writeSnapFile(snapDir, { ...raft, confState, tree }, { files })
    await wal.saveSnapshot({ ...raft, confState })
  } finally {
    await wal.close()
  }
  const dirs = [snapDir, walDir, path.dirname(walDir), path.join(dataDir, 'member'), dataDir]
  for (const dir of [...dirs, path.dirname(path.resolve(dataDir))]) await files.syncDir(dir)
}

/** The log entry with which the member at this place joins. */
function addition(member: MemberRecord, at: number) {
  const change: ConfChange = {
    id: 0n,
    type: 0,
    node_id: member.id,
    context: Buffer.from(encodeMember(member)),
  }
  const data = Buffer.from(ConfChangeCodec.encode(change).finish())
  return { Type: 1 as const, Term: 1, Index: at + 1, Data: data }
}

function votersOnly(members: readonly MemberRecord[]): ConfState {
  return ConfState.fromPartial({ voters: members.map(({ id }) => id) })
}

/** A member publishes its name itself, when it starts. */
function withoutName({ id, peerUrls, isLearner }: MemberRecord) {
  return { id, peerUrls, isLearner }
}

async function removeUnfinished(place: Place, files: Files): Promise<void> {
  const { dataDir, walDir, hadDataDir } = place
  await files.remove(hadDataDir ? path.join(dataDir, 'member') : dataDir)
  // Nothing was there before, or freePlace() would have refused.
  await files.remove(walDir)
  await files.remove(`${walDir}.tmp`)
}
