// timed-wal.ts: a log that takes its own time: how long the disk needs to sync is the first figure
// that one looks at when a cluster is slow.
import type { Clock } from '../platform/clock.js'
import type { Wal } from '../storage/wal/writer.js'
import { diskBuckets, type Metrics } from './metrics.js'

export function timedWal(wal: Wal, metrics: Metrics, clock: Clock): Wal {
  const syncs = metrics.histogram(
    'etcd_disk_wal_fsync_duration_seconds',
    'The latency distributions of fsync called by WAL.',
    diskBuckets,
  )
  return {
    get lastIndex() {
      return wal.lastIndex
    },
    save(hardState, entries, sync) {
      const saved = wal.save(hardState, entries, sync)
      if (!sync) return saved
      const startedMs = clock.now()
      return saved.then(() => syncs.observe((clock.now() - startedMs) / 1000))
    },
    saveSnapshot: (snapshot) => wal.saveSnapshot(snapshot),
    release: (index) => wal.release(index),
    close: () => wal.close(),
  }
}
