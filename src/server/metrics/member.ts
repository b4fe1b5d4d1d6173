// member.ts: the figures that a member can tell when it is asked: its place in the cluster,
// its log, its store, its process. What is counted as it happens stands where it happens.
import { readdirSync, readFileSync } from 'node:fs'
import { AlarmType } from '../../api/gen/rpc.js'
import { etcdVersion } from '../../api/version.js'
import { memberHex } from '../../storage/schema.js'
import { defaultQuotaBytes } from '../config.js'
import type { ServiceParts } from '../rpc/parts.js'
import type { Figures } from './figures.js'
import { Counter, type Histogram, type Metrics, type Sample } from './registry.js'

export function registerMember(metrics: Metrics, parts: ServiceParts): void {
  const gauge = (name: string, help: string, look: () => number | Iterable<Sample>) =>
    metrics.read('gauge', name, help, look)
  const counter = (name: string, help: string, look: () => number) =>
    metrics.read('counter', name, help, look)
  registerServer(gauge, counter, parts)
  registerTroubles(gauge, counter, parts)
  registerStore(gauge, counter, parts)
  registerProcess(gauge, counter, parts)
  registerFigures(metrics, parts)
}

type Gauge = (name: string, help: string, look: () => number | Iterable<Sample>) => void
type Count = (name: string, help: string, look: () => number) => void

function registerServer(gauge: Gauge, counter: Count, parts: ServiceParts): void {
  const { node, proposer, membership, alarms, memberId, config } = parts
  gauge('etcd_server_has_leader', 'Whether or not a leader exists. 1 is existence, 0 is not.', () =>
    Number(node.leader !== 0n),
  )
  gauge('etcd_server_is_leader', 'Whether or not this member is a leader. 1 if is.', () =>
    Number(node.isLeader),
  )
  gauge('etcd_server_is_learner', 'Whether or not this member is a learner. 1 if is.', () =>
    Number(parts.isLearner()),
  )
  counter('etcd_server_leader_changes_seen_total', 'The number of leader changes seen.', () =>
    Math.max(node.leadersSeen - 1, 0),
  )
  gauge(
    'etcd_server_proposals_committed_total',
    'The number of consensus proposals committed.',
    () => node.status().commit,
  )
  gauge(
    'etcd_server_proposals_applied_total',
    'The number of consensus proposals applied.',
    () => node.applied,
  )
  gauge(
    'etcd_server_proposals_pending',
    'The number of pending proposals to commit.',
    () => proposer.pendingCount,
  )
  counter(
    'etcd_server_proposals_failed_total',
    'The number of failed proposals seen.',
    () => proposer.failedCount,
  )
  gauge('etcd_server_quota_backend_bytes', 'Backend storage quota size in bytes.', () =>
    config.quotaBackendBytes === 0 ? defaultQuotaBytes : config.quotaBackendBytes,
  )
  gauge('etcd_server_id', 'Server or member ID in hexadecimal format. 1 for current ID.', () => [
    [{ server_id: memberHex(memberId) }, 1],
  ])
  gauge('etcd_server_version', 'Which version is running. 1 for current version.', () => [
    [{ server_version: etcdVersion }, 1],
  ])
  gauge('etcd_cluster_version', 'Which cluster version is agreed on. 1 for this version.', () => [
    [{ cluster_version: membership.agreedVersion ?? etcdVersion.replace(/\d+$/, '0') }, 1],
  ])
  gauge('etcd_debugging_server_alarms', 'Alarms for every member. 1 for this alarm.', () =>
    alarms.list().map(({ memberId: id, alarm }): Sample => {
      const type = alarm === AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE'
      return [{ server_id: memberHex(id), alarm_type: type }, 1]
    }),
  )
}

/** What goes wrong between members, and who they are. */
function registerTroubles(gauge: Gauge, counter: Count, parts: ServiceParts): void {
  const { node, membership, memberId, figures } = parts
  counter(
    'etcd_server_slow_read_indexes_total',
    'The total number of read indexes that were not answered in time.',
    () => node.readFigures.slow,
  )
  counter(
    'etcd_server_read_indexes_failed_total',
    'The total number of failed read indexes seen.',
    () => node.readFigures.failed,
  )
  counter(
    'etcd_server_heartbeat_send_failures_total',
    'The total number of leader heartbeats that left late (likely overloaded from slow disk).',
    () => figures.lateHeartbeats.count,
  )
  gauge('etcd_network_known_peers', 'The current number of known peers.', () => {
    const others = membership.list().filter(({ id }) => id !== memberId)
    return others.map(({ id }): Sample => {
      return [{ Local: memberHex(memberId), Remote: memberHex(id) }, 1]
    })
  })
}

function registerStore(gauge: Gauge, counter: Count, parts: ServiceParts): void {
  const { store, size, auth } = parts
  gauge(
    'etcd_mvcc_db_total_size_in_bytes',
    'Size of the database, allocated, in bytes.',
    () => size.allocatedBytes,
  )
  gauge(
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'Size of the database, in use, in bytes.',
    () => size.inUseBytes,
  )
  gauge('etcd_debugging_mvcc_keys_total', 'Total number of keys.', () => store.keyCount)
  gauge(
    'etcd_debugging_mvcc_current_revision',
    'The current revision of the store.',
    () => store.revision,
  )
  gauge(
    'etcd_debugging_mvcc_compact_revision',
    'The revision of the last compaction.',
    () => store.compactRevision,
  )
  gauge(
    'etcd_debugging_mvcc_total_put_size_in_bytes',
    'Size of what was put and is kept.',
    () => store.bytes,
  )
  gauge('etcd_debugging_auth_revision', 'The current revision of auth store.', () => auth.revision)
  gauge('etcd_debugging_mvcc_watcher_total', 'Total number of watchers.', () => store.watcherCount)
  gauge(
    'etcd_debugging_mvcc_slow_watcher_total',
    'Total number of unsynced slow watchers.',
    () => store.slowWatcherCount,
  )
  gauge(
    'etcd_debugging_mvcc_pending_events_total',
    'Total number of pending events to be sent.',
    () => store.pendingEventCount,
  )
  const changes = { put: 0, delete: 0 }
  store.onChange((changed) => {
    for (const { tombstone } of changed) changes[tombstone ? 'delete' : 'put']++
  })
  counter('etcd_mvcc_put_total', 'Total number of puts seen by this member.', () => changes.put)
  counter(
    'etcd_mvcc_delete_total',
    'Total number of deletes seen by this member.',
    () => changes.delete,
  )
}

function registerFigures(metrics: Metrics, { figures }: ServiceParts): void {
  for (const { name, help, figure } of shownFigures(figures)) {
    if (figure instanceof Counter) metrics.read('counter', name, help, () => figure.value)
    else metrics.histograms(name, help, () => [[{}, figure]])
  }
  metrics.read(
    'gauge',
    'etcd_server_snapshot_apply_in_progress_total',
    '1 if the server is applying the incoming snapshot. 0 if none.',
    () => figures.snapshotsBeingApplied,
  )
  metrics.read(
    'gauge',
    'etcd_debugging_mvcc_db_compaction_last',
    'The unix time of the last db compaction. Resets to 0 on start.',
    () => figures.lastCompactionSeconds,
  )
  const applies = 'etcd_server_apply_duration_seconds'
  metrics.histograms(applies, 'The latency distributions of applies.', function* () {
    for (const [op, { success, failure }] of figures.applies) {
      yield [{ version: 'v3', op, success: 'true' }, success]
      if (failure.count > 0) yield [{ version: 'v3', op, success: 'false' }, failure]
    }
  })
}

/** Names that dashboards know, for what they mean here. */
const shownFigures = (
  figures: Figures,
): readonly { name: string; help: string; figure: Counter | Histogram }[] => [
  {
    name: 'etcd_server_slow_apply_total',
    help: 'The total number of slow apply requests (likely overloaded from slow disk).',
    figure: figures.slowApplies,
  },
  {
    name: 'etcd_debugging_lease_granted_total',
    help: 'The total number of granted leases.',
    figure: figures.leasesGranted,
  },
  {
    name: 'etcd_debugging_lease_revoked_total',
    help: 'The total number of revoked leases.',
    figure: figures.leasesRevoked,
  },
  {
    name: 'etcd_debugging_server_lease_expired_total',
    help: 'The total number of expired leases.',
    figure: figures.leasesExpired,
  },
  {
    name: 'etcd_debugging_lease_ttl_total',
    help: 'Bucketed histogram of lease TTLs.',
    figure: figures.leaseTtlSeconds,
  },
  {
    name: 'etcd_debugging_mvcc_events_total',
    help: 'Total number of events sent by this member.',
    figure: figures.watchEvents,
  },
  {
    name: 'etcd_debugging_mvcc_db_compaction_keys_total',
    help: 'Total number of records that compactions removed.',
    figure: figures.compactedRecords,
  },
  {
    name: 'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
    help: 'Bucketed histogram of the total duration of compactions.',
    figure: figures.compactionMs,
  },
  {
    name: 'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
    help: 'Bucketed histogram of how long compactions hold up everything else.',
    figure: figures.compactionSliceMs,
  },
  {
    name: 'etcd_disk_backend_commit_duration_seconds',
    help: 'The latency distributions of writing the database to disk, as a whole.',
    figure: figures.databaseSaves,
  },
  {
    name: 'etcd_debugging_snap_save_total_duration_seconds',
    help: 'The total latency distributions of saving a .snap file.',
    figure: figures.snapFileSaves,
  },
  {
    name: 'etcd_snap_db_save_total_duration_seconds',
    help: 'The total latency distributions of receiving and saving a database of a leader.',
    figure: figures.databasesReceived,
  },
]

function registerProcess(gauge: Gauge, counter: Count, { clock }: ServiceParts): void {
  const startedSeconds = clock.wall() / 1000 - process.uptime()
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () =>
    process.memoryUsage.rss(),
  )
  gauge(
    'process_start_time_seconds',
    'Start time of the process since unix epoch.',
    () => startedSeconds,
  )
  counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', one(virtualBytes))
  gauge(
    'process_virtual_memory_max_bytes',
    'Maximum amount of virtual memory available in bytes.',
    one(virtualBytesMax),
  )
  gauge('process_open_fds', 'Number of open file descriptors.', one(openFiles))
  gauge('process_max_fds', 'Maximum number of open file descriptors.', one(openFilesMax))
  gauge('os_fd_used', 'The number of used file descriptors.', one(openFiles))
  gauge('os_fd_limit', 'The file descriptor limit.', one(openFilesMax))
}

/** A system that cannot tell has no sample. */
function one(look: () => number | undefined): () => Iterable<Sample> {
  return () => {
    const value = look()
    return value === undefined ? [] : [[{}, value]]
  }
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

function virtualBytes(): number | undefined {
  const [, kib] = /^VmSize:\s+(\d+) kB/m.exec(procFile('status')) ?? []
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** As Go has it, a process without a limit has the largest that 64 bits can say. */
function virtualBytesMax(): number | undefined {
  const [, soft] = /^Max address space\s+(\S+)/m.exec(procFile('limits')) ?? []
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? 2 ** 64 : Number(soft)
}

export function openFilesMax(): number | undefined {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(procFile('limits')) ?? []
  return soft === undefined ? undefined : Number(soft)
}

/** Of this process; empty where there is no such file. */
function procFile(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8')
  } catch {
    return ''
  }
}
