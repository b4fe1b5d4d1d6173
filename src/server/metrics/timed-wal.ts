// timed-wal.ts: a log that takes its own time: how long the disk needs to sync is the first figure
// that one looks at when a cluster is slow.
import type { Clock } from '../../platform/clock.js'
import type { Wal } from '../../storage/wal/writer.js'
import { diskBuckets } from './figures.js'
import type { Metrics } from './registry.js'

export function timedWal(wal: Wal, metrics: Metrics, clock: Clock): Wal {
  const syncs = metrics.histogram(
    'etcd_disk_wal_fsync_duration_seconds',
    'The latency distributions of fsync called by WAL.',
    diskBuckets,
  )
  metrics.read(
    'gauge',
    'etcd_disk_wal_write_bytes_total',
    'Total number of bytes written in WAL.',
    () => (wal.bytesWritten === undefined ? [] : [[{}, wal.bytesWritten]]),
  )
  return {
    get lastIndex() {
      return wal.lastIndex
    },
    get bytesWritten() {
      return wal.bytesWritten
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
