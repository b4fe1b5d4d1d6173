// member-metrics.ts: the figures that a member can tell when it is asked: its place in the cluster,
// its log, its store, its process. What is counted as it happens stands where it happens.
import { readdirSync, readFileSync } from 'node:fs'
import { AlarmType } from '../api/gen/rpc.js'
import { etcdVersion } from '../api/version.js'
import { memberHex } from '../storage/schema.js'
import { defaultQuotaBytes } from './config.js'
import type { Metrics, Sample } from './metrics.js'
import type { ServiceParts } from './rpc/parts.js'

export function registerMember(metrics: Metrics, parts: ServiceParts): void {
  const gauge = (name: string, help: string, look: () => number | Iterable<Sample>) =>
    metrics.read('gauge', name, help, look)
  const counter = (name: string, help: string, look: () => number) =>
    metrics.read('counter', name, help, look)
  registerServer(gauge, counter, parts)
  registerStore(gauge, counter, parts)
  registerProcess(gauge, counter, parts)
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

export function openFilesMax(): number | undefined {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}
