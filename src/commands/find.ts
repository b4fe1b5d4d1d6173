// find.ts: which command a line means. The words of commands are the first positionals; flags may
// stand between them, so the search must know which flags take the word behind them. A word may
// be shortened as long as it stays the beginning of one name only.
import { Command } from 'commander'
import type { Defined, DefinedCommand, DefinedGroup } from './context.js'
import type { Entry } from './entry.js'
import { globalFlags } from './global-flags.js'
import { type Flag, flagOf } from './parse.js'
import { boolean } from './values.js'

export interface Found {
  /** Full names, outermost first; empty for the tool itself. */
  readonly path: readonly string[]
  readonly summary: string
  /** Undefined for the tool itself. */
  readonly defined: Defined | undefined
  /** The declaration, for help. */
  readonly declared: Command
  /** Of the group that the command is in; valid here too. */
  readonly inherited: Command | undefined
  /** Every flag that may stand on the line. */
  readonly flags: readonly Flag[]
  /** The line without the words of the path. */
  readonly rest: readonly string[]
}

/** The first word names no command. */
export class UnknownCommandError extends Error {
  override readonly name = 'UnknownCommandError'
  readonly exitCode = 1
  readonly typed: string
  /** Names that may have been meant. */
  readonly suggestions: readonly string[]

  constructor(typed: string, suggestions: readonly string[]) {
    super(`unknown command ${JSON.stringify(typed)}`)
    this.typed = typed
    this.suggestions = suggestions
  }
}

const helpFlag: Flag = {
  name: 'help',
  short: 'h',
  key: 'help',
  isBoolean: true,
  read: boolean,
}

const rootFlags: readonly Flag[] = [...globalFlags, helpFlag]

export async function find(words: readonly string[], table: readonly Entry[]): Promise<Found> {
  const at = commandWord(words, rootFlags)
  const typed = at === undefined ? undefined : words[at]
  if (at === undefined || typed === undefined) return root(words)
  const entry = named(typed, table)
  if (entry === undefined) throw new UnknownCommandError(typed, suggestions(typed, table))
  const defined = await entry.load()
  const declared = defined.words(new Command(entry.name))
  const isServer = defined.kind === 'command' && defined.isServer
  const found: Found = {
    path: [entry.name],
    summary: entry.summary,
    defined,
    declared,
    inherited: undefined,
    // Global flags are about a client: a server that took --discovery-srv would not know of it.
    flags: [...(isServer ? [helpFlag] : rootFlags), ...declared.options.map(flagOf)],
    rest: words.toSpliced(at, 1),
  }
  return defined.kind === 'group' ? below(found, defined) : found
}

function root(words: readonly string[]): Found {
  const declared = new Command('tsctl')
  const nothing = { path: [], summary: '', defined: undefined, inherited: undefined }
  return { ...nothing, declared, flags: rootFlags, rest: words }
}

/** The command of a group that comes next on the line; the group itself when none does. */
function below(group: Found, { commands }: DefinedGroup): Found {
  const at = commandWord(group.rest, group.flags)
  const typed = at === undefined ? undefined : group.rest[at]
  if (at === undefined || typed === undefined) return group
  const entries = Object.entries(commands).map(([name, { summary, command }]) => {
    return { name, summary, command }
  })
  const entry = named(typed, entries)
  if (entry === undefined) return group
  const defined: DefinedCommand = entry.command
  const declared = defined.words(new Command(entry.name))
  return {
    path: [...group.path, entry.name],
    summary: entry.summary,
    defined,
    declared,
    inherited: group.declared,
    flags: [...group.flags, ...declared.options.map(flagOf)],
    rest: group.rest.toSpliced(at, 1),
  }
}

/**
 * Where the first positional stands. A flag that is not known here may belong to the command and
 * have a value, so, as in etcdctl, the word behind it is passed over, unless it is the last.
 */
function commandWord(words: readonly string[], flags: readonly Flag[]): number | undefined {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--') return undefined
    if (!word.startsWith('-')) {
      if (word !== '') return at
      continue
    }
    const isLong = word.startsWith('--')
    if (word.includes('=') || !(isLong || word.length === 2)) continue
    const flag = flags.find((one) => (isLong ? `--${one.name}` : `-${one.short}`) === word)
    if (flag?.isBoolean === true) continue
    if (at + 2 >= words.length) return undefined
    at++
  }
  return undefined
}

/** By its name, else by the beginning of it. What is only ours must be written out: */
function named<T extends { name: string; isOurs?: boolean }>(
  typed: string,
  entries: readonly T[],
): T | undefined {
  const exact = entries.find(({ name }) => name === typed)
  if (exact !== undefined) return exact
  // otherwise it would take away a short form that works with etcdctl.
  const beginning = entries.filter(({ name, isOurs }) => !isOurs && name.startsWith(typed))
  return beginning.length === 1 ? beginning[0] : undefined
}

/** Edits between a typed word and a name that is still taken to be meant. */
const editsMax = 2

function suggestions(typed: string, table: readonly Entry[]): string[] {
  const lower = typed.toLowerCase()
  const names = table.map(({ name }) => name).filter((name) => name !== 'help')
  return names.filter((name) => name.startsWith(lower) || edits(lower, name) <= editsMax)
}

/** Levenshtein's distance: letters to add, drop or change to make one word of the other. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const kept = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(kept, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
