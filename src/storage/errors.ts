// errors.ts: what storage refuses. A CorruptionError means that bytes on disk are not what was
// written there and nothing was repaired; a DataDirError means that the directory as a whole
// cannot be used as it stands. Both messages are one line, fit to be shown to a person.

export interface Corruption {
  /** Path of the damaged file. */
  file: string
  /** Byte offset at which reading stopped making sense. */
  offset: number
  expected: string
  found: string
}

/** `wal 0000-0000.wal at 4096: checksum 1a2b, expected 3c4d`: what `what` describes is damaged. */
export class CorruptionError extends Error {
  readonly file: string
  readonly offset: number
  readonly expected: string
  readonly found: string

  constructor(what: string, { file, offset, expected, found }: Corruption, cause?: unknown) {
    super(`${what} ${file} at ${offset}: ${found}, expected ${expected}`, { cause })
    this.name = 'CorruptionError'
    this.file = file
    this.offset = offset
    this.expected = expected
    this.found = found
  }
}

/** The data directory cannot be used: foreign, in use, unwritable, or with a part missing. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError'
}

/** The log stopped accepting writes after an I/O error; only opening it anew helps. */
export class WalBrokenError extends Error {
  override readonly name = 'WalBrokenError'
}

/** There is no room for a write. Nothing of it was kept, so it may be tried again later. */
export class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError'
  readonly code = 'ENOSPC'
}
