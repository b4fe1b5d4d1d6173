// completion bash|zsh|fish|powershell: a script for the shell. The script is static: it knows all
// words, flags and values, and starts no process while a person types.
import { offersOf, shellNames } from './completion-offers.js'
import { bash, fish, powershell, zsh } from './completion-scripts.js'
import { defineCommand, goQuote } from './context.js'
import type { Entry } from './entry.js'
import { ParseError } from './parse.js'

const scripts = { bash, zsh, fish, powershell }

type ShellName = (typeof shellNames)[number]

export const completionCommand = (table: readonly Entry[]) =>
  defineCommand({
    words: (command) => command.argument('<bash|zsh|fish|powershell>'),
    options: (_flags: unknown, args) => completionOptions(args),
    run: async (ctx, { shell }) => ctx.write(scripts[shell](await offersOf(table))),
  })

export function completionOptions(args: readonly string[]): { shell: ShellName } {
  const [word = ''] = args
  if (args.length !== 1) throw new ParseError(`accepts 1 arg(s), received ${args.length}`)
  const shell = shellNames.find((name) => name === word)
  if (shell !== undefined) return { shell }
  throw new ParseError(`invalid argument ${goQuote(word)} for "tsctl completion"`)
}
