// index.ts: the package's one door. What the command line tool does over its connection layer,
// a program can do with connect(): the services of etcd as typed calls, and watches, keep-alives
// and snapshots as async iterables. It can start a server of its own with startServer(), and read,
// check and restore snapshot files without any.
import { connect as connectWith } from './connection/connect.js'
import type { Connection, ConnectOptions } from './connection/connection.js'
import { systemClock } from './platform/clock.js'
import { systemRandom } from './platform/random.js'

export { EtcdError } from './api/rpc-errors.js'
export type {
  Connection,
  ConnectOptions,
  TlsSettings,
  Watch,
  WatchCreate,
} from './connection/connection.js'
export { ConnectionError } from './connection/errors.js'
export {
  type ClusterMember,
  type ClusterOptions,
  type Failure,
  type Faults,
  type RunningCluster,
  type RunningServer,
  type StartOptions,
  startCluster,
  startServer,
} from './server/library/library.js'
export {
  CorruptionError,
  type RestoredMember,
  type RestoreOptions,
  restoreSnapshot,
  type SavedSnapshot,
  SnapshotError,
  type SnapshotHashKv,
  type SnapshotReport,
  type SnapshotStatus,
  saveSnapshot,
  snapshotHashKv,
  snapshotRange,
  snapshotStatus,
  verifySnapshot,
} from './snapshot/on-disk.js'

/** Options of connect(): the endpoints, and what differs from etcdctl's own defaults. */
export type ClientOptions = Pick<ConnectOptions, 'endpoints'> &
  Partial<ConnectOptions> & {
    /** Ends every call and stream of the connection. */
    signal?: AbortSignal
  }

/** Connects to a cluster. Nothing is dialled before the first call, unless there is a user. */
export async function connect({ signal, ...options }: ClientOptions): Promise<Connection> {
  const defaults: Omit<ConnectOptions, 'endpoints'> = {
    dialTimeoutMs: 2000,
    keepaliveTimeMs: 10_000,
    keepaliveTimeoutMs: 6000,
    maxSendBytes: 0,
    maxReceiveBytes: 0,
    tls: { insecureSkipVerify: false, insecureTransport: true },
  }
  const parts = { clock: systemClock, random: systemRandom, signal }
  return connectWith({ ...defaults, ...options }, parts)
}
