// run.ts: one command line in this process, on streams in memory. Without a connection given,
// a command that tries to connect fails the test.
import { Readable, Writable } from 'node:stream'
import type { Io } from '../../src/commands/session.js'
import {
  type Connection,
  type ConnectOptions,
  type ConnectParts,
  connect,
} from '../../src/connection/connect.js'
import { main } from '../../src/main.js'
import type { Clock } from '../../src/platform/clock.js'
import { systemClock } from '../../src/platform/clock.js'
import { type Files, systemFiles } from '../../src/platform/files.js'
import { systemRandom } from '../../src/platform/random.js'

export interface Run {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
  /** What each connection was asked for with. */
  readonly dialled: readonly ConnectOptions[]
  /** How many of them were closed. */
  readonly closedCount: number
}

export interface Surroundings {
  stdin?: string | Buffer
  env?: Record<string, string>
  clock?: Clock
  /** Stands in for the real one: by options, so that endpoints can differ. 'real' dials. */
  connection?: 'real' | ((options: ConnectOptions, parts: ConnectParts) => Stand)
  stdout?: Writable & { isTTY?: boolean }
  files?: Files
  resolveSrv?: Io['resolveSrv']
}

/** Instead of 5 and 2 seconds, for a command that a server answers, however busy the machine is. */
export const patience = { ETCDCTL_COMMAND_TIMEOUT: '60s', ETCDCTL_DIAL_TIMEOUT: '60s' }

/** As much of a connection as the command at hand uses. */
export type Stand = { [K in keyof Connection]?: unknown }

export async function run(argv: readonly string[], around: Surroundings = {}): Promise<Run> {
  const out: Buffer[] = []
  const err: Buffer[] = []
  const dialled: ConnectOptions[] = []
  let closedCount = 0
  const io: Io = {
    stdin: Readable.from(around.stdin === undefined ? [] : [Buffer.from(around.stdin)], {
      objectMode: false,
    }),
    stdout: around.stdout ?? sink(out),
    stderr: sink(err),
    env: around.connection === 'real' ? { ...patience, ...around.env } : (around.env ?? {}),
    clock: around.clock ?? systemClock,
    random: systemRandom,
    files: around.files ?? systemFiles,
    onInterrupt: () => () => undefined,
    stayAwake: () => () => undefined,
    resolveSrv: around.resolveSrv ?? (async () => []),
    async connect(options, parts) {
      dialled.push(options)
      if (around.connection === 'real') return connect(options, parts)
      if (around.connection === undefined) throw new Error('connected')
      const close = async (): Promise<void> => {
        closedCount++
      }
      // A stand-in has what the command uses; anything else fails as undefined.
      return { close, ...around.connection(options, parts) } as Connection
    },
  }
  const code = await main(argv, io)
  const stderr = Buffer.concat(err).toString()
  return { code, stdout: Buffer.concat(out), stderr, dialled, closedCount }
}

function sink(pieces: Buffer[]): Writable {
  return new Writable({
    write(piece, _encoding, done) {
      pieces.push(Buffer.from(piece)) // a copy: the writer may use its memory again
      done()
    },
  })
}

/** The last line of standard error, which scripts look at. */
export const lastLine = ({ stderr }: Run): string => stderr.trimEnd().split('\n').at(-1) ?? ''

/** A method that fails like the real one would. */
export const failing = (error: Error) => async (): Promise<never> => {
  throw error
}
