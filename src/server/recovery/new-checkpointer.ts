// new-checkpointer.ts: the checkpoints of a member that was recovered.
import type { Applier } from '../apply.js'
import type { ServerConfig } from '../config.js'
import type { Figures } from '../metrics/figures.js'
import type { Platform } from '../platform.js'
import { Checkpointer } from './checkpoint.js'
import type { Recovered } from './recover.js'

/** Undefined when nothing is kept on disk. */
export function newCheckpointer(
  config: ServerConfig,
  { snapDir, state, wal, consistent }: Recovered,
  { files, clock, log: logger }: Platform,
  { applier, figures }: { applier: Applier; figures: Figures },
): Checkpointer | undefined {
  if (snapDir === undefined) return undefined
  return new Checkpointer(
    { state, snapDir, wal, files, clock, logger, figures, position: () => applier.position },
    config.snapshotCount,
    consistent.index,
  )
}
