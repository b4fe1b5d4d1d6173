// snapshot restore: makes the data directory of a new member from a snapshot file, without a
// server. `tsctl server` or a real etcd starts from it.
import type { Command } from 'commander'
import {
  bumpProblem,
  type RestoreOptions,
  restoreDefaults,
  restoreSnapshot,
} from '../snapshot/restore.js'
import { type CommandContext, CommandError, defineCommand, UsageError } from './context.js'
import { withSpinner } from './spinner.js'
import { uint64 } from './values.js'

interface RestoreFlags {
  dataDir: string
  walDir: string
  name: string
  initialCluster: string
  initialClusterToken: string
  initialAdvertisePeerUrls: string
  skipHashCheck: boolean
  bumpRevision: bigint
  markCompacted: boolean
}

export interface RestoreCommandOptions {
  file: string
  restore: RestoreOptions
}

/** etcd maps the file into memory; here it is read and the flag only accepted. */
const memoryMapBytes = 10n * 1024n ** 3n

const words = (command: Command): Command =>
  command
    .argument('<filename>')
    .option('--data-dir <string>', 'directory to make; default: NAME.etcd', '')
    .option('--wal-dir <string>', 'directory for the log; default: member/wal in --data-dir', '')
    .option('--name <string>', 'name of the member', restoreDefaults.name)
    .option(
      '--initial-cluster <string>',
      'all members of the new cluster: NAME=PEER-URL,...',
      restoreDefaults.initialCluster,
    )
    .option(
      '--initial-cluster-token <string>',
      'tells clusters apart that have the same members',
      restoreDefaults.initialClusterToken,
    )
    .option(
      '--initial-advertise-peer-urls <string>',
      'peer URLs of the member, as in --initial-cluster',
      restoreDefaults.initialAdvertisePeerUrls,
    )
    .option('--skip-hash-check', 'for a file copied from a data directory, without a digest', false)
    .option('--bump-revision <uint>', 'how much to raise the revision by', uint64, 0n)
    .option('--mark-compacted', 'take all revisions up to the raised one for compacted', false)
    .option('--initial-memory-map-size <uint>', 'accepted and ignored', uint64, memoryMapBytes)

export function restoreOptions(
  flags: RestoreFlags,
  args: readonly string[],
): RestoreCommandOptions {
  const [file, ...rest] = args
  if (file === undefined || rest.length > 0) {
    throw new UsageError('snapshot restore requires exactly one argument')
  }
  const { dataDir, walDir, name, initialCluster, initialClusterToken } = flags
  const { initialAdvertisePeerUrls, skipHashCheck, markCompacted } = flags
  const restore = {
    ...{ dataDir, walDir, name, initialCluster, initialClusterToken, initialAdvertisePeerUrls },
    // A sum that no revision can be is refused when the last revision of the file is known.
    ...{ skipHashCheck, markCompacted, bumpRevision: Number(flags.bumpRevision) },
  }
  const problem = bumpProblem(restore)
  if (problem !== undefined) throw new UsageError(problem)
  return { file, restore }
}

export async function runRestore(
  ctx: CommandContext,
  { file, restore }: RestoreCommandOptions,
): Promise<void> {
  // Ctrl-C removes what was made so far.
  ctx.catchInterrupts()
  const { files, signal } = ctx
  try {
    const { dataDir } = await withSpinner(ctx, `Restoring ${file}`, (show) =>
      restoreSnapshot(file, restore, {
        ...{ files, signal },
        progress: ({ readBytes, totalBytes }) => show({ doneBytes: readBytes, totalBytes }),
      }),
    )
    if (ctx.stderr.isTTY) ctx.warn(`${file} is restored: member ${restore.name} in ${dataDir}\n`)
  } catch (error) {
    if (!signal.aborted) throw error
    const options = { exitCode: 5, cause: error }
    throw new CommandError('interrupted, nothing was restored', options)
  }
}

export const restoreCommand = defineCommand({ words, options: restoreOptions, run: runRestore })
