// completion-offers.ts: what may follow the words typed so far, as data that the script of each
// shell is written from. Words and flags come from the declaration that the parser and help read,
// so that no script offers what does not exist.
import { Command } from 'commander'
import type { Entry } from './entry.js'
import { globalFlags } from './global-flags.js'

export interface Offers {
  readonly paths: readonly Path[]
  /** Global flags, with their dashes: they go with every path. */
  readonly common: readonly string[]
  /** Those of them, short ones included, whose value is the next word. */
  readonly commonValued: readonly string[]
  /** What a flag takes, by its name and by its letter. */
  readonly values: readonly Values[]
}

/** The words of one command: ` member add`; empty for the tool itself. */
export interface Path {
  readonly path: string
  /** What the flags of the path are, beside the common ones. */
  readonly flags: readonly string[]
  readonly valued: readonly string[]
  /** What may stand at a place among the operands, counted from 0; commands are at 0. */
  readonly operands: readonly { at: number; words: readonly string[] }[]
}

interface Values {
  readonly names: readonly string[]
  readonly words: readonly string[]
}

export const shellNames = ['bash', 'zsh', 'fish', 'powershell'] as const

/** Flags with few values. One name has the same values wherever it is declared. */
export const flagValues: Readonly<Record<string, readonly string[]>> = {
  'write-out': ['fields', 'json', 'protobuf', 'simple', 'table'],
  'table-style': ['ascii', 'unicode'],
  color: ['auto', 'always', 'never'],
  consistency: ['l', 's'],
  order: ['ASCEND', 'DESCEND'],
  'sort-by': ['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION'],
  load: ['s', 'm', 'l', 'xl'],
  'initial-cluster-state': ['new', 'existing'],
  'auto-compaction-mode': ['periodic', 'revision'],
  'log-level': ['debug', 'info', 'warn', 'error'],
}

export async function offersOf(table: readonly Entry[]): Promise<Offers> {
  const names = table.map(({ name }) => name)
  const paths: Path[] = [pathOf('', [], { at: 0, words: names })]
  for (const { name, load } of table) {
    const defined = await load()
    const declared = defined.words(new Command(name))
    if (defined.kind === 'command') {
      paths.push(pathOf(` ${name}`, [declared], ...operandsOf(` ${name}`, names)))
      continue
    }
    const below = Object.entries(defined.commands)
    paths.push(pathOf(` ${name}`, [declared], { at: 0, words: below.map(([word]) => word) }))
    for (const [word, { command }] of below) {
      const path = ` ${name} ${word}`
      const both = [declared, command.words(new Command(word))]
      paths.push(pathOf(path, both, ...operandsOf(path, names)))
    }
  }
  return { paths, ...commonFlags() }
}

/** Operands with few values. */
function operandsOf(path: string, commands: readonly string[]): Path['operands'] {
  if (path === ' completion') return [{ at: 0, words: shellNames }]
  if (path === ' help') return [{ at: 0, words: commands }]
  if (path === ' role grant-permission') return [{ at: 1, words: ['read', 'write', 'readwrite'] }]
  return []
}

function pathOf(path: string, declared: readonly Command[], ...operands: Path['operands']): Path {
  const options = declared.flatMap((command) => command.options).filter(({ hidden }) => !hidden)
  const valued = options.filter(({ required, optional }) => required || optional)
  return {
    path,
    flags: options.flatMap(({ long }) => long ?? []),
    valued: valued.flatMap(({ long, short }) => [long ?? [], short ?? []].flat()),
    operands,
  }
}

function commonFlags(): Omit<Offers, 'paths'> {
  const namesOf = ({ name, short }: { name: string; short: string | undefined }): string[] =>
    short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
  return {
    common: ['--help', ...globalFlags.map(({ name }) => `--${name}`)],
    commonValued: globalFlags.filter(({ isBoolean }) => !isBoolean).flatMap(namesOf),
    values: Object.entries(flagValues).map(([name, words]) => {
      const short = globalFlags.find((flag) => flag.name === name)?.short
      return { names: namesOf({ name, short }), words }
    }),
  }
}
