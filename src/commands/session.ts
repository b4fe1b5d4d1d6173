// session.ts: the real CommandContext of one run: connections that are dialled late and closed at
// the end, the format that --write-out names, the streams of the process. What the process gives
// comes in as an argument, so that a test can run every command in its own process.
import { setMaxListeners } from 'node:events'
import type { Readable } from 'node:stream'
import type { Connection, ConnectOptions, connect } from '../connection/connect.js'
import type { Format, Output } from '../output/format.js'
import type { Clock } from '../platform/clock.js'
import type { Files } from '../platform/files.js'
import type { Random } from '../platform/random.js'
import { connectOptions } from './connecting.js'
import type { CommandContext, Environment, Interrupt } from './context.js'
import type { SrvRecord } from './discovery.js'
import { debugLines, globalOptions } from './environment.js'
import type { GlobalOptions } from './global-flags.js'
import type { Parsed } from './parse.js'
import type { Printing } from './printing.js'

/** What a run may touch of the process that it is in. Tests give streams in memory. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown }
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly env: Environment
  readonly clock: Clock
  readonly random: Random
  readonly files: Files
  /** Catches SIGINT and SIGTERM, which otherwise end the process, until the answer is called. */
  onInterrupt(callback: (signal: Interrupt) => void): () => void
  /** Keeps the process alive while it only waits, until the answer is called. */
  stayAwake(): () => void
  /**
   * The process ends with the run, so that its connections need no closing: the kernel is faster,
   * and to the server it looks the same.
   */
  readonly leavesConnections?: boolean
  /** Stands in for DNS in a test. */
  resolveSrv?(name: string): Promise<readonly SrvRecord[]>
  /** Stands in for the real connection in a test. */
  readonly connect?: typeof connect
}

/** Where output goes, shared with main. */
export interface Writing {
  readonly printing: Printing
  warn(text: string): void
  /** Whether --debug is on; known once a command has asked for the global flags. */
  isDebug: boolean
}

export interface Session {
  readonly context: CommandContext
  close(): Promise<void>
}

export function newSession(parsed: Parsed, io: Io, writing: Writing): Session {
  const { printing, warn } = writing
  const ended = new AbortController()
  // Every call that is under way listens, and there may be any number of those.
  setMaxListeners(0, ended.signal)
  printing.closed.addEventListener('abort', () => ended.abort())
  const opened: Promise<Connection>[] = []
  let stopCatching: (() => void) | undefined
  let isStdinUsed = false

  // Late, because commands without a connection do not look at variables and formats at all.
  const globals = once((): GlobalOptions => {
    const options = globalOptions(parsed, io.env)
    writing.isDebug = options.debug
    if (options.debug) warn(debugLines(parsed, options, io.env))
    return options
  })
  const stdin = (): Io['stdin'] => {
    isStdinUsed = true
    return io.stdin
  }
  const askPassword = async (prompt?: string): Promise<string> => {
    const { askPassword: ask } = await import('./prompt.js')
    const { write } = printing
    return ask(prompt, { stdin: stdin(), write, onInterrupt: io.onInterrupt })
  }
  const settings = once((): Promise<ConnectOptions> => {
    const resolver = io.resolveSrv ?? resolveSrv
    return connectOptions(globals(), { password: askPassword, resolveSrv: resolver, warn })
  })
  const format = once(() => chosenFormat(globals(), io))

  async function open(changes: Partial<ConnectOptions>): Promise<Connection> {
    await format()
    const options = { ...(await settings()), ...changes }
    const dial = io.connect ?? (await import('../connection/connect.js')).connect
    const connection = dial(options, { clock: io.clock, random: io.random, signal: ended.signal })
    opened.push(connection)
    return connection
  }
  const shared = once(() => open({}))

  async function put({ stdout, stderr }: Output, write = printing.write): Promise<void> {
    if (stderr !== undefined) warn(stderr)
    await write(stdout)
  }

  const context: CommandContext = {
    connect: (changes) => (changes === undefined ? shared() : open(changes)),
    commandBudget() {
      const end = io.clock.now() + globals().commandTimeoutMs
      return () => ({ deadlineMs: Math.max(0, end - io.clock.now()) })
    },
    print: async (result) => put((await format()).print(result)),
    async printLines(result) {
      const hasLines = globals().writeOut === 'simple'
      const write = hasLines ? printing.writeLines : printing.write
      await put((await format()).print(result), write)
    },
    async printRange(message, options) {
      const { printRange, print } = await format()
      if (printRange === undefined) {
        const { range } = (await import('../connection/codecs-kv.js')).codecs
        return put(print({ kind: 'get', response: range.response.decode(message), ...options }))
      }
      for (const piece of printRange(message, options)) await printing.writeThrough(piece)
    },
    write: printing.write,
    warn,
    readStdin: async () => Buffer.concat(await pieces(stdin())),
    askPassword,
    get stdin() {
      return stdin()
    },
    get stderr() {
      return io.stderr
    },
    signal: ended.signal,
    catchInterrupts() {
      stopCatching ??= io.onInterrupt(() => {
        stopCatching?.() // a second Ctrl-C ends the process, whatever the command is doing
        ended.abort()
      })
    },
    onInterrupt: io.onInterrupt,
    clock: io.clock,
    random: io.random,
    files: io.files,
    get globals() {
      return globals()
    },
    env: io.env,
  }

  async function close(): Promise<void> {
    stopCatching?.()
    if (isStdinUsed) io.stdin.destroy()
    if (io.leavesConnections) return
    for (const connection of await Promise.allSettled(opened)) {
      if (connection.status === 'fulfilled') await connection.value.close()
    }
  }

  return { context, close }
}

async function resolveSrv(name: string): Promise<readonly SrvRecord[]> {
  return (await import('node:dns/promises')).resolveSrv(name)
}

/** The function's answer, asked for once. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

async function chosenFormat(globals: GlobalOptions, io: Io): Promise<Format> {
  const { formatFor } = await import('../output/format.js')
  const { hex, tableStyle } = globals
  return formatFor(globals.writeOut, { hex, tableStyle, color: isColored(globals, io) })
}

/** The flag decides; else the customary variables; else whether a person is looking. */
function isColored({ color }: GlobalOptions, { env, stdout }: Io): boolean {
  if (color !== 'auto') return color === 'always'
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return stdout.isTTY === true && env.TERM !== 'dumb'
}

async function pieces(stream: Readable): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const piece of stream) all.push(Buffer.from(piece))
  return all
}
