// txn: one transaction, read from standard input in three sections, each ended by an empty line:
// what must hold, what is done if it does, what is done if it does not.
//
//   mod("key1") > "0"
//
//   put key1 "overwrote-key1"
//
//   put key1 "created-key1"
//   put key2 "some extra key"
//
import type { Command } from 'commander'
import { type CommandContext, CommandError, defineCommand, UsageError } from './context.js'
import { lines } from './lines.js'
import { blank, parseCompare } from './txn-compare.js'
import { parseOperation } from './txn-operation.js'

export interface TxnOptions {
  /** Say what is expected next. */
  interactive: boolean
}

const words = (command: Command): Command =>
  command
    .description(
      'Reads a transaction from standard input: compares, requests for the case that they hold, ' +
        'and\nrequests for the case that they do not. An empty line ends each of the three.\n' +
        'A compare is TARGET("KEY") OP "VALUE"; the target is value, version, create, mod or\n' +
        'lease, the operator = != < or >. A request is a line of get, put or del.',
    )
    .option('-i, --interactive', 'say what is expected next', false)

export function txnOptions(
  { interactive }: { interactive: boolean },
  args: readonly string[],
): TxnOptions {
  if (args.length > 0) throw new UsageError('txn command does not accept argument')
  return { interactive }
}

export async function runTxn(ctx: CommandContext, { interactive }: TxnOptions): Promise<void> {
  const { kv } = await ctx.connect()
  const input = lines(ctx.stdin)
  const section = async <T>(title: string, read: (line: string) => T | Promise<T>) => {
    if (interactive) await ctx.write(`${title}:\n`)
    return readSection(input, read)
  }
  const operation = (line: string) => parseOperation(ctx, line)
  const request = {
    compare: await section('compares', parseCompare),
    success: await section('success requests (get, put, del)', operation),
    failure: await section('failure requests (get, put, del)', operation),
  }
  await ctx.print({ kind: 'txn', response: await kv.txn(request) })
}

/** What each line up to the next empty one stands for. */
async function readSection<T>(
  input: AsyncIterator<string>,
  read: (line: string) => T | Promise<T>,
): Promise<T[]> {
  const items: T[] = []
  for (;;) {
    const next = await input.next()
    if (next.done) throw new CommandError('EOF', { exitCode: 3 })
    const line = next.value.replace(outerBlanks, '')
    if (line === '') return items
    items.push(await read(line))
  }
}

const outerBlanks = new RegExp(`^${blank}+|${blank}+$`, 'gu')

export const txnCommand = defineCommand({ words, options: txnOptions, run: runTxn })
