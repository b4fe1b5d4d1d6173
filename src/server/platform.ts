// platform.ts: the world that a member acts on, and the real one.
import { type Clock, systemClock } from '../platform/clock.js'
import { type Files, systemFiles } from '../platform/files.js'
import { type Log, type LogLevel, lineLog } from '../platform/log.js'
import { type Random, systemRandom } from '../platform/random.js'

export interface Platform {
  files: Files
  clock: Clock
  random: Random
  log: Log
}

/** This machine. Log lines at or above `level` go to `write`. */
export function systemPlatform(level: LogLevel, write: (line: string) => void): Platform {
  const log = lineLog(level, write, systemClock.wall)
  return { files: systemFiles, clock: systemClock, random: systemRandom, log }
}
