// compaction <revision>: forgets what keys were before a revision.
import type { Command } from 'commander'
import { type CommandContext, defineCommand, UsageError } from './context.js'
import { decimal, ValueError } from './values.js'

interface CompactionFlags {
  physical: boolean
}

export interface CompactionOptions {
  revision: bigint
  physical: boolean
}

const words = (command: Command): Command =>
  command
    .argument('<revision>')
    .option('--physical', 'wait until the space of old revisions is free', false)

export function compactionOptions(
  { physical }: CompactionFlags,
  args: readonly string[],
): CompactionOptions {
  const [text, ...rest] = args
  if (text === undefined || rest.length > 0) {
    throw new UsageError('compaction command needs 1 argument')
  }
  try {
    return { revision: decimal(text), physical }
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new UsageError(error.message, 1)
  }
}

export async function runCompaction(
  ctx: CommandContext,
  { revision, physical }: CompactionOptions,
): Promise<void> {
  const { kv } = await ctx.connect()
  await kv.compact({ revision: String(revision), physical }, ctx.commandBudget()())
  await ctx.write(`compacted revision ${revision}\n`)
}

export const compactionCommand = defineCommand({
  words,
  options: compactionOptions,
  run: runCompaction,
})
