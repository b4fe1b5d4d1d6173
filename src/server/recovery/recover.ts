// recover.ts: brings one member's state up from its data directory, or makes a new one.
//
// The database holds the state at its consistent index, the log all entries after the newest
// snapshot. The snapshot index is never above the consistent index; entries between the two have
// had their effect, those above it are applied once raft says that they are committed.
import type { Entry, HardState, Snapshot } from '../../api/gen/raft.js'
import { ConfChange, EntryType } from '../../api/gen/raft.js'
import type { Files } from '../../platform/files.js'
import { MemoryStorage } from '../../raft/storage.js'
import { type Database, openDatabase } from '../../storage/bbolt/reader.js'
import { saveDatabase } from '../../storage/bbolt/writer.js'
import { clusterId } from '../../storage/cluster-id.js'
import type { DataDir } from '../../storage/data-dir.js'
import { CorruptionError, DataDirError } from '../../storage/errors.js'
import {
  authKey,
  type BucketName,
  clusterKey,
  decodeAlarm,
  decodeDowngrade,
  decodeFlag,
  decodeLease,
  decodeMember,
  decodeRevision,
  decodeRole,
  decodeUint64,
  decodeUser,
  type MemberRecord,
  metaKey,
  parseMemberHex,
} from '../../storage/schema.js'
import { readNewestSnapFile, type SnapFile } from '../../storage/snap-file.js'
import { walSnapshots } from '../../storage/wal/reader.js'
import {
  createWal,
  type OpenedWal,
  openWal,
  type Wal,
  type WalOptions,
} from '../../storage/wal/writer.js'
import { ConfigError, firstMembers, type ServerConfig } from '../config.js'
import type { Joined } from '../membership/join.js'
import { addMember, Membership } from '../membership/membership.js'
import { membershipAt, settleMembers } from '../membership/settled-members.js'
import { captureBuckets, type Position, type State } from './checkpoint.js'
import { loneLog } from './force-new-cluster.js'
import { adoptDatabase, receivedName } from './received-database.js'

/** A member that is ready to take part: state at `consistent`, log after `snapshotIndex`. */
export interface Recovered {
  state: State
  memberId: bigint
  clusterId: bigint
  wal: Wal
  log: MemoryStorage
  /** Where checkpoints go; undefined when nothing is kept on disk. */
  snapDir: string | undefined
  /** Members that a joining one has heard of, until its own log names them. */
  remotes: readonly MemberRecord[]
  /** The members as they were at `snapshotIndex`. */
  past: Membership
  /** Where raft begins to hand out entries. */
  snapshotIndex: number
  /** What the state contains already. */
  consistent: Position
}

export interface RecoverOptions extends WalOptions {
  /** Asks the other members, for a new member; undefined when the cluster is new too. */
  join(config: ServerConfig): Promise<Joined | undefined>
}

/** Builds the empty state of a cluster; called once its id is known. */
export type NewState = (clusterId: bigint) => State

/** @throws DataDirError, CorruptionError, ConfigError */
export async function recoverMember(
  config: ServerConfig,
  dataDir: DataDir,
  newState: NewState,
  options: RecoverOptions,
): Promise<Recovered> {
  if (!dataDir.hasLog) return bootstrapMember(config, dataDir, newState, options)
  const { files } = options
  const positions = await walSnapshots(dataDir.walDir, options)
  const isListed = ({ index, term }: Position) =>
    positions.some((each) => each.index === index && each.term === term)
  const snap = await readNewestSnapFile(dataDir.snapDir, isListed, options)
  const opened = await openWal(dataDir.walDir, snap ?? { index: 0, term: 0 }, options)
  const { nodeId, clusterId: cluster } = opened.metadata
  const raftLog = config.forceNewCluster ? await standAlone(config, opened, snap) : opened
  const state = newState(cluster)
  const log = memoryLog(raftLog.hardState, raftLog.entries, snap)
  const { index, term } = await restoreNewest(dataDir, state, snap, files)
  // A database of etcd 3.4 names no term.
  const consistent = { index, term: log.term(index) ?? term }
  checkPosition(dataDir, consistent, { snap, last: opened.wal.lastIndex })
  const applied = opened.entries.filter(({ Index }) => Index <= consistent.index)
  settleMembers(state.membership, snap, applied)
  return {
    state,
    snapDir: dataDir.snapDir,
    memberId: nodeId,
    clusterId: cluster,
    wal: opened.wal,
    log,
    remotes: [],
    past: membershipAt(snap, cluster),
    snapshotIndex: snap?.index ?? 0,
    consistent,
  }
}

/** The log of a member that is to go on without the others. */
async function standAlone(
  config: ServerConfig,
  { wal, metadata, hardState, entries }: OpenedWal,
  snap: SnapFile | undefined,
): Promise<{ hardState: HardState; entries: readonly Entry[] }> {
  const { name, initialAdvertisePeerUrls: peerUrls } = config
  const own = { id: metadata.nodeId, name, peerUrls, clientUrls: [], isLearner: false }
  const snapshotIndex = snap?.index ?? 0
  const lone = loneLog(own, snap?.confState, { hardState, entries, snapshotIndex })
  if (lone.appended.length > 0) await wal.save(lone.hardState, lone.appended, true)
  return lone
}

/**
 * The state of the database, or of one that a leader sent when this member stopped before it had
 * taken its place. Without any, the log must have everything from its start.
 */
async function restoreNewest(
  { dbFile, snapDir, hasDb }: DataDir,
  state: State,
  snap: SnapFile | undefined,
  files: Files,
): Promise<Position> {
  const own = hasDb ? await restoreState(dbFile, state, files) : { index: 0, term: 0 }
  if (snap === undefined || snap.index <= own.index) return own
  if (!(await files.exists(`${snapDir}/${receivedName(snap.index)}`))) return own
  await adoptDatabase(snapDir, snap.index, files)
  return restoreState(dbFile, state, files)
}

/** A member without a past: of a new cluster, or of one that it joins. */
async function bootstrapMember(
  config: ServerConfig,
  dataDir: DataDir,
  newState: NewState,
  options: RecoverOptions,
): Promise<Recovered> {
  const { files, join } = options
  if (dataDir.hasDb) await refuseOldDatabase(dataDir, files)
  const joined = await join(config)
  const born = joined === undefined ? newMember(config) : joiningMember(joined)
  const state = newState(born.clusterId)
  const buckets = captureBuckets(state, { index: 0, term: 0 })
  const saving = saveDatabase(dataDir.dbFile, buckets, { files })
  const saved = Promise.allSettled([saving])
  try {
    const wal = await createWal(dataDir.walDir, metadataOf(born), {
      ...options,
      // A directory with a log but without a database does not open.
      after: saving,
      ...(born.entries.length > 0 && { first: born }),
    })
    const remotes = joined?.members ?? []
    return { ...born, state, wal, snapDir: dataDir.snapDir, remotes, ...newborn(born) }
  } finally {
    await saved // nothing writes into the directory any more when the start has failed
  }
}

const metadataOf = ({ memberId, clusterId }: Born) => ({ nodeId: memberId, clusterId })

/** The same without a directory: nothing outlives the process. */
export function memoryMember(config: ServerConfig, newState: NewState): Recovered {
  const born = newMember(config)
  const state = newState(born.clusterId)
  return { ...born, state, wal: memoryWal(), snapDir: undefined, remotes: [], ...newborn(born) }
}

function newborn({ clusterId: cluster }: Born) {
  const consistent = { index: 0, term: 0 }
  return { snapshotIndex: 0, consistent, past: new Membership(cluster) }
}

/** Accepts everything and keeps nothing. */
function memoryWal(): Wal {
  const done = async () => {}
  return { lastIndex: 0, save: done, saveSnapshot: done, release: done, close: done }
}

/** What a member starts from: its ids, and a log that says who the members are. */
interface Born {
  memberId: bigint
  clusterId: bigint
  hardState: HardState
  entries: readonly Entry[]
  log: MemoryStorage
}

/**
 * A member of a new cluster. All members write the same first entries, each by itself: one for each
 * member, by ascending id, committed from the start.
 */
function newMember(config: ServerConfig): Born {
  const members = firstMembers(config)
  const own = members.find(({ name }) => name === config.name)
  if (own === undefined) throw new ConfigError(`no member is called ${config.name}`)
  const entries = members.map((member, index) => ({
    Type: EntryType.EntryConfChange,
    Term: 1,
    Index: index + 1,
    Data: Buffer.from(ConfChange.encode(addMember(0n, member)).finish()),
  }))
  const hardState = { term: 1, vote: 0n, commit: entries.length }
  const cluster = clusterId(members.map(({ id }) => id))
  const log = memoryLog(hardState, entries, undefined)
  return { memberId: own.id, clusterId: cluster, hardState, entries, log }
}

/** A member of a cluster that exists: it knows nothing until a leader tells it. */
function joiningMember({ memberId: own, clusterId: cluster }: Joined): Born {
  const hardState = { term: 0, vote: 0n, commit: 0 }
  return { memberId: own, clusterId: cluster, hardState, entries: [], log: new MemoryStorage() }
}

function memoryLog(
  hardState: HardState,
  entries: readonly Entry[],
  snap: SnapFile | undefined,
): MemoryStorage {
  const log = new MemoryStorage()
  if (snap !== undefined) {
    const { index, term, confState: conf_state } = snap
    const snapshot: Snapshot = { data: Buffer.alloc(0), metadata: { conf_state, index, term } }
    log.applySnapshot(snapshot)
  }
  log.setHardState(hardState)
  log.append(entries)
  return log
}

/** A database without a log is left behind by a bootstrap cut short, if nothing is in it. */
async function refuseOldDatabase({ dbFile, walDir }: DataDir, files: Files): Promise<void> {
  const database = await openDatabase(dbFile, { files })
  try {
    const index = await database.get('meta', metaKey.consistentIndex)
    if (index !== undefined && decodeUint64(index) !== 0) {
      throw new DataDirError(
        `${dbFile} has data but the log in ${walDir} is missing; ` +
          'restore a snapshot into a new directory instead',
      )
    }
  } finally {
    await database.close()
  }
}

/** Reads every bucket into the state; says which entry the database stands at. */
export async function restoreState(dbFile: string, state: State, files: Files): Promise<Position> {
  const database = await openDatabase(dbFile, { files })
  try {
    const meta = new Map<string, Buffer>()
    for await (const { key, value } of items(database, 'meta')) meta.set(key.toString(), value)
    await restoreAuth(database, state)
    await restoreLeases(database, state)
    const index = number(meta.get(metaKey.consistentIndex.toString()))
    // etcd 3.4 writes its first members before it counts entries; the log tells of them again.
    if (index > 0) await restoreMembers(database, state)
    await restoreKeys(database, state, meta)
    const alarms = await collect(database, 'alarm', ({ key }) => decodeAlarm(key))
    state.alarms.restore(alarms)
    return {
      index,
      term: number(meta.get(metaKey.term.toString())),
    }
  } finally {
    await database.close()
  }
}

/** What is decoded shares bytes with what it was decoded from, and the reader uses those again. */
async function restoreAuth(database: Database, { auth }: State): Promise<void> {
  const enabled = await database.get('auth', authKey.enabled)
  const revision = await database.get('auth', authKey.revision)
  auth.restore({
    enabled: enabled && decodeFlag(enabled),
    revision: number(revision),
    users: await collect(database, 'authUsers', ({ value }) => decodeUser(Buffer.from(value))),
    roles: await collect(database, 'authRoles', ({ value }) => decodeRole(Buffer.from(value))),
  })
}

async function restoreLeases(database: Database, { lessor }: State): Promise<void> {
  lessor.restore(await collect(database, 'lease', ({ value }) => decodeLease(value)))
}

async function restoreMembers(database: Database, { membership }: State): Promise<void> {
  const members = await collect(database, 'members', ({ value }) => {
    const member = decodeMember(value.toString())
    if (member === undefined) return undefined
    const { promote: _, ...record } = member
    return record
  })
  const removed = await collect(database, 'members_removed', ({ key }) =>
    parseMemberHex(key.toString()),
  )
  membership.restore(members, removed)
  const version = await database.get('cluster', clusterKey.clusterVersion)
  membership.agreedVersion = version?.toString()
  const downgrade = await database.get('cluster', clusterKey.downgrade)
  membership.downgrade = downgrade === undefined ? undefined : decodeDowngrade(downgrade)
}

async function restoreKeys(
  database: Database,
  { store, lessor }: State,
  meta: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const compactRevision = (key: Buffer) => {
    const value = meta.get(key.toString())
    return value === undefined ? -1 : (decodeRevision(value)?.main ?? -1)
  }
  const restoring = store.restoring({
    source: database.file,
    scheduledCompactRevision: compactRevision(metaKey.scheduledCompactRevision),
    finishedCompactRevision: compactRevision(metaKey.finishedCompactRevision),
  })
  for await (const item of items(database, 'key')) restoring.add(item)
  restoring.finish()
  for (const { key, lease } of store.leasedKeys()) lessor.attach(lease, key)
}

interface Item {
  key: Buffer
  value: Buffer
}

async function* items(database: Database, bucket: BucketName): AsyncGenerator<Item> {
  for await (const leaf of database.leaves(bucket)) yield* leaf
}

/** Everything of a small bucket. @throws CorruptionError naming the item that does not decode */
async function collect<T>(
  database: Database,
  bucket: BucketName,
  decode: (item: Item) => T | undefined,
): Promise<T[]> {
  const all: T[] = []
  for await (const leaf of database.leaves(bucket)) {
    for (let index = 0; index < leaf.count; index++) {
      const item = decode({ key: leaf.key(index), value: leaf.value(index) })
      if (item === undefined) {
        throw new CorruptionError('db', {
          file: database.file,
          offset: leaf.offset(index),
          expected: `an item of bucket ${bucket}`,
          found: 'something else',
        })
      }
      all.push(item)
    }
  }
  return all
}

function number(value: Buffer | undefined): number {
  return value === undefined ? 0 : (decodeUint64(value) ?? 0)
}

/** Neither a snapshot nor the database may tell of entries that the log does not have. */
function checkPosition(
  { dbFile, walDir }: DataDir,
  consistent: Position,
  { snap, last }: { snap: SnapFile | undefined; last: number },
): void {
  if (snap !== undefined && snap.index > consistent.index) {
    throw new DataDirError(
      `${dbFile} stands at index ${consistent.index}, before the newest snapshot at ${snap.index}`,
    )
  }
  if (consistent.index > Math.max(last, snap?.index ?? 0)) {
    throw new DataDirError(
      `${dbFile} stands at index ${consistent.index}, but the log in ${walDir} ends at ${last}`,
    )
  }
}
