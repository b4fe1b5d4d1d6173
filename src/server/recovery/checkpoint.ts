// checkpoint.ts: the whole state as the buckets of an etcd database, and when to write it.
//
// The log is the durable truth; the database may be any older applied state. So a checkpoint is
// made beside the old one while requests go on: capture() takes a view that later writes leave
// alone. Then, in this order, so that a crash between any two steps leaves a directory that opens:
//
//     db (written beside, synced, renamed) → .snap file → snapshot record in the log → old
//     segments go
import type { Entry } from '../../api/gen/raft.js'
import type { AuthRecords, AuthStore } from '../../auth/store.js'
import type { Lessor } from '../../lease/lessor.js'
import type { WatchableStore } from '../../mvcc/watchable-store.js'
import type { Clock } from '../../platform/clock.js'
import type { Files } from '../../platform/files.js'
import type { Log } from '../../platform/log.js'
import { type Bucket, type Item, saveDatabase } from '../../storage/bbolt/writer.js'
import {
  alarmKey,
  authKey,
  bucketNames,
  clusterKey,
  encodeDowngrade,
  encodeFlag,
  encodeLease,
  encodeMember,
  encodeRevision,
  encodeRole,
  encodeUint64,
  encodeUser,
  leaseKey,
  memberHex,
  metaKey,
  removedMember,
} from '../../storage/schema.js'
import { purgeSnapFiles, writeSnapFile } from '../../storage/snap-file.js'
import type { Wal } from '../../storage/wal/writer.js'
import type { Alarms } from '../alarm.js'
import type { Membership } from '../membership/membership.js'
import type { Figures } from '../metrics/figures.js'

/** Everything that the buckets hold. */
export interface State {
  store: WatchableStore
  lessor: Lessor
  auth: AuthStore
  alarms: Alarms
  membership: Membership
}

export interface Position {
  index: number
  term: number
}

/** The ten buckets, in order of their names, as they are now; writes to come do not change them. */
export function captureBuckets(state: State, position: Position): Bucket[] {
  const auth = state.auth.records()
  const items: Record<(typeof bucketNames)[number], Iterable<Item>> = {
    alarm: state.alarms.list().map((alarm) => ({ key: alarmKey(alarm), value: nothing })),
    auth: authItems(auth),
    authRoles: auth.roles.map((role) => ({ key: role.name, value: encodeRole(role) })),
    authUsers: auth.users.map((user) => ({ key: user.name, value: encodeUser(user) })),
    cluster: clusterItems(state.membership),
    key: keyItems(state.store),
    lease: leaseItems(state.lessor),
    members: memberItems(state.membership),
    members_removed: removedItems(state.membership),
    meta: metaItems(state, position),
  }
  return bucketNames.map((name) => ({ name, items: items[name] }))
}

const nothing = Buffer.alloc(0)

/**
 * Iterated anew each time, over a view taken once: the list only grows at its end, and a
 * compaction puts another in its place.
 */
function keyItems(store: WatchableStore): Iterable<Item> {
  const { list } = store.recordsFrom(0)
  const { length } = list
  return {
    *[Symbol.iterator]() {
      for (let index = 0; index < length; index++) {
        const record = list[index]
        if (record === undefined) return
        const { main, sub, tombstone, encoded } = record
        yield { key: encodeRevision(main, sub, tombstone), value: encoded }
      }
    },
  }
}

function leaseItems(lessor: Lessor): Item[] {
  return inKeyOrder(
    lessor.records().map((lease) => ({ key: leaseKey(lease.id), value: encodeLease(lease) })),
  )
}

/** The flag appears once it was set, as in etcd. */
function authItems({ enabled, revision }: AuthRecords): Item[] {
  const flag = enabled === undefined ? [] : [{ key: authKey.enabled, value: encodeFlag(enabled) }]
  return [...flag, { key: authKey.revision, value: encodeUint64(revision) }]
}

/** Each key appears once there is something to say. */
function clusterItems({ agreedVersion, downgrade }: Membership): Item[] {
  const items: Item[] = []
  if (agreedVersion !== undefined) {
    items.push({ key: clusterKey.clusterVersion, value: Buffer.from(agreedVersion) })
  }
  if (downgrade !== undefined) {
    items.push({ key: clusterKey.downgrade, value: encodeDowngrade(downgrade) })
  }
  return items
}

function memberItems(membership: Membership): Item[] {
  return inKeyOrder(
    membership.list().map((member) => ({
      key: Buffer.from(memberHex(member.id)),
      value: Buffer.from(encodeMember(member)),
    })),
  )
}

function removedItems(membership: Membership): Item[] {
  return inKeyOrder(
    membership
      .removedIds()
      .map((id) => ({ key: Buffer.from(memberHex(id)), value: removedMember })),
  )
}

function metaItems({ store }: State, position: Position): Item[] {
  const items: Item[] = [
    { key: metaKey.consistentIndex, value: encodeUint64(position.index) },
    { key: metaKey.term, value: encodeUint64(position.term) },
  ]
  const { scheduledCompactRevision: scheduled, finishedCompactRevision: finished } = store
  if (scheduled > 0) {
    items.push({ key: metaKey.scheduledCompactRevision, value: encodeRevision(scheduled, 0) })
  }
  if (finished > 0) {
    items.push({ key: metaKey.finishedCompactRevision, value: encodeRevision(finished, 0) })
  }
  return inKeyOrder(items)
}

function inKeyOrder(items: Item[]): Item[] {
  return items.sort((a, b) => Buffer.compare(a.key, b.key))
}

export interface CheckpointerParts {
  state: State
  /** Where db and .snap files go. */
  snapDir: string
  wal: Wal
  files: Files
  clock: Clock
  logger: Log
  figures: Pick<Figures, 'timed' | 'databaseSaves' | 'snapFileSaves'>
  /** Position of the applied state now. */
  position(): Position
}

/**
 * A checkpoint writes everything, so it is not worth its cost before the log behind it has grown
 * to the size of the database: then writing costs at most as much again as logging did.
 */
const logBytesMin = 16 * 1024 * 1024

export class Checkpointer {
  readonly #parts: CheckpointerParts
  readonly #entriesMin: number
  #lastIndex: number
  #lastSizeBytes = 0
  #bytesSince = 0
  #running: Promise<void> | undefined

  /** `entriesMin`: applied entries between two checkpoints, at the least. */
  constructor(parts: CheckpointerParts, entriesMin: number, lastIndex: number) {
    this.#parts = parts
    this.#entriesMin = entriesMin
    this.#lastIndex = lastIndex
  }

  /** Counts what was logged; begins a checkpoint when one is due and none is under way. */
  onApplied(entries: readonly Entry[]): void {
    for (const { Data } of entries) this.#bytesSince += Data?.length ?? 0
    const { index } = this.#parts.position()
    const isDue =
      index - this.#lastIndex >= this.#entriesMin &&
      this.#bytesSince >= Math.max(logBytesMin, this.#lastSizeBytes)
    if (!isDue || this.#running !== undefined) return
    this.#running = this.#save()
      .catch((error: Error) => {
        // The log still holds everything; the next checkpoint may fare better.
        this.#parts.logger.warn('failed to write a checkpoint', { error: error.message })
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  /** The database on disk was replaced by one that stands at `index`. */
  jumpTo(index: number): void {
    this.#lastIndex = index
    this.#bytesSince = 0
  }

  /** Resolves when no checkpoint is under way. */
  async idle(): Promise<void> {
    await this.#running
  }

  /** Writes what is not written yet, after whatever is under way. @throws when it cannot */
  async close(): Promise<void> {
    await this.#running
    if (this.#parts.position().index <= this.#lastIndex) return
    try {
      await this.#save()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      // The log holds everything, and the next start reads it.
      this.#parts.logger.warn('no space left for a last checkpoint', {
        error: (error as Error).message,
      })
    }
  }

  async #save(): Promise<void> {
    const { state, snapDir, wal, files, clock, logger, figures } = this.#parts
    const startedMs = clock.now()
    const position = this.#parts.position()
    const confState = state.membership.confState()
    const tree = snapTree(state.membership)
    const buckets = captureBuckets(state, position)
    this.#bytesSince = 0
    const { sizeBytes } = await figures.timed(figures.databaseSaves, () =>
      saveDatabase(`${snapDir}/db`, buckets, { files }),
    )
    await figures.timed(figures.snapFileSaves, () =>
      writeSnapFile(snapDir, { ...position, confState, tree }, { files }),
    )
    await wal.saveSnapshot({ ...position, confState })
    await wal.release(position.index)
    await purgeSnapFiles(snapDir, { files, log: logger })
    this.#lastIndex = position.index
    this.#lastSizeBytes = sizeBytes
    logger.info('saved snapshot', {
      'snapshot-index': position.index,
      'db-size': sizeBytes,
      took: `${Math.round(clock.now() - startedMs)}ms`,
    })
  }
}

/** The cluster as a .snap file describes it. */
export function snapTree(membership: Membership) {
  const { agreedVersion } = membership
  return {
    members: membership.list().map(({ id, peerUrls, isLearner, name, clientUrls }) => ({
      id,
      peerUrls,
      isLearner,
      ...(name === '' ? {} : { attributes: { name, clientUrls } }),
    })),
    removed: membership.removedIds(),
    ...(agreedVersion === undefined ? {} : { version: agreedVersion }),
  }
}
