// make-mirror <destination>: copies keys to another cluster and keeps the copy up to date, until
// it fails or is ended. The source is what the global flags say; the destination has flags of its
// own for what may differ, and takes time limits and sizes from the global ones.
import type { Command } from 'commander'
import type { ConnectOptions } from '../connection/connect.js'
import { type MirrorOptions, mirror } from '../connection/mirror.js'
import { identity } from './connecting.js'
import { bytes, type CommandContext, defineCommand, UsageError } from './context.js'
import { int64, uint64 } from './values.js'

export interface MakeMirrorFlags {
  prefix: string
  rev: bigint
  maxTxnOps: bigint
  destPrefix: string
  noDestPrefix: boolean
  destCert: string
  destKey: string
  destCacert: string
  destInsecureTransport: boolean
  destUser: string
  destPassword: string
}

export interface MakeMirrorOptions {
  mirror: Omit<MirrorOptions, 'signal' | 'onCopied'>
  destination: Pick<ConnectOptions, 'endpoints' | 'tls'>
  /** As --user and --password; a password that is missing is asked for. */
  identity: { user: string; password: string }
}

const words = (command: Command): Command =>
  command
    .argument('<destination>')
    .option('--prefix <string>', 'copy only the keys that begin with it', '')
    .option('--rev <int>', 'copy no keys, only what changes from this revision on', int64, 0n)
    .option('--max-txn-ops <uint>', 'operations in a transaction of the destination', uint64, 128n)
    .option('--dest-prefix <string>', 'what stands for the prefix in the copy', '')
    .option('--no-dest-prefix', 'leave the prefix away in the copy', false)
    .option('--dest-cert <string>', 'file with the client certificate for the destination, PEM', '')
    .option('--dest-key <string>', 'file with the key of that certificate, PEM', '')
    .option('--dest-cacert <string>', "file with the authorities of the destination's server", '')
    .option('--dest-insecure-transport', 'no TLS to a destination without a scheme', true)
    .option('--dest-user <string>', 'name or name:password for the destination', '')
    .option('--dest-password <string>', 'password; --dest-user is then the name alone', '')

export function makeMirrorOptions(
  flags: MakeMirrorFlags,
  args: readonly string[],
): MakeMirrorOptions {
  const [endpoint, ...rest] = args
  if (endpoint === undefined || rest.length > 0) {
    throw new UsageError('make-mirror takes one destination argument')
  }
  const { prefix, destPrefix, noDestPrefix, rev, maxTxnOps } = flags
  if (destPrefix !== '' && noDestPrefix) {
    const problem = '`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time'
    throw new UsageError(`${problem}, choose one`)
  }
  return {
    mirror: {
      prefix: bytes(prefix),
      destinationPrefix: bytes(noDestPrefix ? '' : destPrefix || prefix),
      fromRevision: rev > 1n ? rev : 0n,
      opsMax: Number(maxTxnOps),
    },
    destination: { endpoints: [endpoint], tls: tlsSettings(flags) },
    identity: { user: flags.destUser, password: flags.destPassword },
  }
}

function tlsSettings(flags: MakeMirrorFlags): ConnectOptions['tls'] {
  return {
    cert: flags.destCert || undefined,
    key: flags.destKey || undefined,
    cacert: flags.destCacert || undefined,
    insecureSkipVerify: false,
    insecureTransport: flags.destInsecureTransport,
  }
}

/** Between reports. */
const reportMs = 30_000

export async function runMakeMirror(
  ctx: CommandContext,
  options: MakeMirrorOptions,
): Promise<void> {
  const asking = { password: (prompt: string) => ctx.askPassword(prompt) }
  const user = await identity(options.identity, asking, 'Destination Password: ')
  const destination = await ctx.connect({ ...options.destination, user, token: undefined })
  const source = await ctx.connect()
  const { failure, report, stop } = reports(ctx)
  try {
    const { signal } = ctx
    const mirroring = mirror(source, destination, { ...options.mirror, signal, onCopied: report })
    await Promise.race([mirroring, failure])
  } finally {
    stop()
  }
}

/** The running total on standard output; `failure` rejects when it cannot be written. */
function reports(ctx: CommandContext) {
  let total = 0
  let fail: (reason: unknown) => void = () => {}
  const failure = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  const timer = ctx.clock.every(reportMs, () => void ctx.write(`${total}\n`).catch(fail))
  return {
    failure,
    report(count: number): void {
      total += count
    },
    stop: () => timer.cancel(),
  }
}

export const makeMirrorCommand = defineCommand({
  words,
  options: makeMirrorOptions,
  run: runMakeMirror,
})
