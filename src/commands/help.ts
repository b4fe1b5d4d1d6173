// help.ts: help and usage in the layout of etcdctl 3.7, made from the declaration that the parser
// reads too. Usage is the part that follows an error; help has the description above it and, in
// the last line, where to find the global flags, which are left out everywhere else.
import type { Command, Option } from 'commander'
import { defineCommand, goQuote } from './context.js'
import { type Entry, groups } from './entry.js'
import { type Found, find, UnknownCommandError } from './find.js'
import { globalFlags } from './global-flags.js'

const about = 'tsctl talks to etcd, and brings a server of its own.'

export function helpText(found: Found, table: readonly Entry[]): string {
  const description = found.declared.description() || found.summary || about
  const hint =
    'Use "tsctl options" for a list of global command-line options (applies to all commands).'
  return `${description}\n\n${usageText(found, table)}${hint}\n`
}

export function usageText(found: Found, table: readonly Entry[]): string {
  const { path, defined, declared, inherited } = found
  const name = ['tsctl', ...path].join(' ')
  const isGroup = defined?.kind !== 'command'
  const sections = [
    `Usage:\n${isGroup ? `  ${name} [command]` : `  ${name}${operands(declared)} [flags]`}\n`,
  ]
  if (defined === undefined) sections.push(...rootCommands(table))
  else if (defined.kind === 'group') {
    const rows = Object.entries(defined.commands).map(([word, { summary }]) => ({
      name: word,
      summary,
    }))
    sections.push(`Available Commands:\n${commandRows(rows)}`)
  }
  const shown = declared.options.filter(({ hidden }) => !hidden)
  const local = [...shown.map(row), helpRow(path.at(-1) ?? 'tsctl')]
  sections.push(`Flags:\n${flagRows(local)}`)
  if (inherited !== undefined && inherited.options.length > 0) {
    sections.push(`Global Flags:\n${flagRows(inherited.options.map(row))}`)
  }
  if (isGroup) {
    sections.push(`Use "${name} [command] --help" for more information about a command.\n`)
  }
  return sections.join('\n')
}

/** ` <key> [range_end]`, or what the declaration says instead. */
function operands(declared: Command): string {
  const usage = declared
    .usage()
    .replace(/\[options\]/, '')
    .trim()
  return usage === '' ? '' : ` ${usage}`
}

function rootCommands(table: readonly Entry[]): string[] {
  const sections: string[] = []
  for (const group of groups) {
    const entries = table.filter((entry) => entry.group === group)
    if (entries.length > 0) sections.push(`${group}\n${commandRows(entries)}`)
  }
  return sections
}

function commandRows(entries: readonly { name: string; summary: string }[]): string {
  const width = Math.max(11, ...entries.map(({ name }) => name.length))
  return [...entries]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, summary }) => `  ${name.padEnd(width)} ${summary}\n`)
    .join('')
}

interface FlagRow {
  readonly short: string | undefined
  readonly name: string
  readonly placeholder: string | undefined
  readonly description: string
  /** As shown; undefined when there is nothing to tell. */
  readonly defaultText: string | undefined
}

function row(option: Option): FlagRow {
  const [, placeholder] = /[<[]([^>\]]+)[>\]]/.exec(option.flags) ?? []
  return {
    short: option.short?.replace(/^-/, ''),
    name: (option.long ?? '').replace(/^--/, ''),
    placeholder,
    description: option.description,
    defaultText: defaultText(option.defaultValue),
  }
}

const helpRow = (name: string): FlagRow => ({
  short: 'h',
  name: 'help',
  placeholder: undefined,
  description: `help for ${name}`,
  defaultText: undefined,
})

/** A default that is no news (nothing, zero, no) is not shown. */
function defaultText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : goQuote(value)
  if (Array.isArray(value)) return value.length === 0 ? undefined : `[${value.join(',')}]`
  const isNothing = value === undefined || value === false || value === 0 || value === 0n
  return isNothing ? undefined : String(value)
}

/** Flags by name, their descriptions in one column. */
function flagRows(rows: readonly FlagRow[]): string {
  const terms = rows.map(({ short, name, placeholder }) => {
    const letters = short === undefined ? '    ' : `-${short}, `
    return `  ${letters}--${name}${placeholder === undefined ? '' : ` ${placeholder}`}`
  })
  const width = Math.max(...terms.map((term) => term.length))
  return rows
    .map((flag, at) => ({ flag, term: terms[at] ?? '' }))
    .sort((a, b) => (a.flag.name < b.flag.name ? -1 : 1))
    .map(({ flag, term }) => {
      const initial = flag.defaultText === undefined ? '' : ` (default ${flag.defaultText})`
      return `${term.padEnd(width)}   ${flag.description}${initial}\n`
    })
    .join('')
}

/** The flags of every command, for `options`. */
export function globalFlagRows(): string {
  return flagRows(
    globalFlags.map((flag) => {
      // A duration is shown as it is written, not in the milliseconds that it is kept in.
      const isDuration = flag.placeholder === 'duration'
      return { ...flag, defaultText: isDuration ? flag.defaultText : defaultText(flag.default) }
    }),
  )
}

export const helpCommand = (table: readonly Entry[]) =>
  defineCommand({
    words: (command) => command.argument('[command...]'),
    options: (_flags: unknown, args) => args,
    async run(ctx, topic) {
      try {
        await ctx.write(helpText(await find(topic, table), table))
      } catch (error) {
        if (!(error instanceof UnknownCommandError)) throw error
        const words = topic.map((word) => `\`${word}\``).join(' ')
        ctx.warn(`Unknown help topic [${words}]\n${usageText(await find([], table), table)}`)
      }
    },
  })
