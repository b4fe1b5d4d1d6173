// printing.ts: standard output, as commands write to it. Nothing is dropped and nothing piles up:
// a write waits until the reader has room. When the reader goes away (`| head -1`) every write
// from then on throws OutputClosed, which ends the command quietly.
import { bytes, CommandError } from './context.js'

const lineFeed = 0x0a

/** Nobody reads standard output any more. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

export interface Printing {
  /** Resolves when there is room for more. The data may be kept until it is written. */
  write(data: string | Uint8Array): Promise<void>
  /**
   * Like write(), but line by line at both ends, as etcdctl prints a change. For answers with a
   * long time between them: `| head -1` closes the pipe, and only a further write notices.
   */
  writeLines(data: string | Uint8Array): Promise<void>
  /** Resolves when the data is not needed any more. */
  writeThrough(data: Uint8Array): Promise<void>
  /** Resolves when all is with the reader, or the reader is gone. */
  flush(): Promise<void>
  /** Aborted when nothing more can be written: the reader is gone, or the disk is full. */
  readonly closed: AbortSignal
  /** Whether the reader is gone: no failure, it has seen enough. */
  isReaderGone(): boolean
}

export function printingTo(stream: NodeJS.WritableStream): Printing {
  const closed = new AbortController()
  let failure: NodeJS.ErrnoException | undefined
  let pending = 0
  let onIdle: (() => void) | undefined

  stream.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= error
    closed.abort()
  })

  function check(): void {
    if (failure === undefined) return
    if (failure.code === 'EPIPE') throw new OutputClosed('standard output is closed')
    const message = `write to standard output: ${failure.message}`
    throw new CommandError(message, { exitCode: 6, cause: failure })
  }

  /** Hands data to the stream; `done` is called when it is written or lost. */
  function hand(data: string | Uint8Array, done?: () => void): boolean {
    pending++
    return stream.write(typeof data === 'string' ? bytes(data) : data, (error) => {
      failure ??= error ?? undefined
      pending--
      done?.()
      if (pending === 0) onIdle?.()
    })
  }

  async function write(data: string | Uint8Array): Promise<void> {
    check()
    if (data.length === 0 || hand(data)) return
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        stream.off('drain', settle)
        stream.off('error', settle)
        resolve()
      }
      stream.on('drain', settle)
      stream.on('error', settle)
    })
    check()
  }

  async function writeThrough(data: Uint8Array): Promise<void> {
    check()
    await new Promise<void>((resolve) => hand(data, resolve))
    check()
  }

  return {
    closed: closed.signal,
    isReaderGone: () => failure?.code === 'EPIPE',
    write,
    async writeLines(data) {
      for (const piece of linesAtEnds(data)) await writeThrough(piece)
    },
    writeThrough,
    async flush() {
      if (pending > 0) await new Promise<void>((resolve) => (onIdle = resolve))
      if (failure?.code !== 'EPIPE') check()
    },
  }
}

/** The first line, the lines between, the last line; what is not there is left out. */
function linesAtEnds(data: string | Uint8Array): Uint8Array[] {
  const all = typeof data === 'string' ? bytes(data) : data
  const first = all.indexOf(lineFeed) + 1
  const last = Math.max(first, all.lastIndexOf(lineFeed, -2) + 1)
  const pieces = [all.subarray(0, first), all.subarray(first, last), all.subarray(last)]
  return pieces.filter(({ length }) => length > 0)
}
