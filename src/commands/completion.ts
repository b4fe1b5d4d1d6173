// completion bash|zsh|fish: a script for the shell, written from the declaration that the parser
// and help read, so that it never offers what does not exist. The script is static: it knows all
// words and flags, and starts no process while a person types.
import { Command } from 'commander'
import { defineCommand, goQuote } from './context.js'
import type { Entry } from './entry.js'
import { globalFlags } from './global-flags.js'
import { ParseError } from './parse.js'

/** What may follow a path of command words. */
interface Offer {
  /** ` member add`; empty for the tool itself. */
  readonly path: string
  readonly commands: readonly string[]
  /** With their dashes. */
  readonly flags: readonly string[]
}

const shells: Readonly<Record<string, (offers: readonly Offer[]) => string>> = { bash, zsh, fish }

export const completionCommand = (table: readonly Entry[]) =>
  defineCommand({
    words: (command) => command.argument('<bash|zsh|fish>'),
    options: (_flags: unknown, args) => completionOptions(args),
    run: async (ctx, { script }) => ctx.write(script(await offersOf(table))),
  })

export function completionOptions(args: readonly string[]): {
  script: (offers: readonly Offer[]) => string
} {
  const [shell = ''] = args
  if (args.length !== 1) throw new ParseError(`accepts 1 arg(s), received ${args.length}`)
  const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined
  if (script !== undefined) return { script }
  throw new ParseError(`invalid argument ${goQuote(shell)} for "tsctl completion"`)
}

async function offersOf(table: readonly Entry[]): Promise<Offer[]> {
  const common = ['--help', ...globalFlags.map(({ name }) => `--${name}`)]
  const offers: Offer[] = [{ path: '', commands: table.map(({ name }) => name), flags: common }]
  for (const { name, load } of table) {
    const defined = await load()
    const flags = [...common, ...flagsOf(defined.words(new Command(name)))]
    const below = defined.kind === 'group' ? Object.entries(defined.commands) : []
    offers.push({ path: ` ${name}`, commands: below.map(([word]) => word), flags })
    for (const [word, { command }] of below) {
      const own = flagsOf(command.words(new Command(word)))
      offers.push({ path: ` ${name} ${word}`, commands: [], flags: [...flags, ...own] })
    }
  }
  return offers
}

const flagsOf = (declared: Command): string[] =>
  declared.options.map(({ long }) => long ?? '').filter((long) => long !== '')

/** The arms of a `case` that finds the path typed so far, in bash and zsh alike. */
function arms(offers: readonly Offer[], body: (offer: Offer) => string): string {
  return offers.map((offer) => `    "${offer.path}") ${body(offer)} ;;\n`).join('')
}

const wordsOf = ({ commands, flags }: Offer): string => [...commands, ...flags].join(' ')

/** Extends `path` by each word on the line that goes on with a known path. */
function pathLoop(offers: readonly Offer[], words: { array: string; count: string }): string {
  const known = offers.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`)
  return (
    `  for word in "\${${words.array}[@]:1:${words.count}}"; do\n` +
    `    case "$path $word" in\n      ${known.join('|')}) path="$path $word" ;;\n    esac\n  done\n`
  )
}

function bash(offers: readonly Offer[]): string {
  return (
    '# bash completion for tsctl: source <(tsctl completion bash)\n' +
    '_tsctl() {\n' +
    '  local path= word words= typed=$2\n' +
    pathLoop(offers, { array: 'COMP_WORDS', count: '$((COMP_CWORD - 1))' }) +
    '  case "$path" in\n' +
    arms(offers, (offer) => `words="${wordsOf(offer)}"`) +
    '  esac\n' +
    '  COMPREPLY=($(compgen -W "$words" -- "$typed"))\n' +
    '}\n' +
    'complete -o default -F _tsctl tsctl\n'
  )
}

function zsh(offers: readonly Offer[]): string {
  return (
    '#compdef tsctl\n' +
    '# zsh completion for tsctl: source <(tsctl completion zsh)\n' +
    '_tsctl() {\n' +
    '  local path= word\n' +
    pathLoop(offers, { array: 'words', count: '$((CURRENT - 2))' }) +
    '  case "$path" in\n' +
    arms(offers, (offer) => `compadd -- ${wordsOf(offer)}`) +
    '  esac\n' +
    '}\n' +
    'compdef _tsctl tsctl\n'
  )
}

function fish(offers: readonly Offer[]): string {
  const lines = offers.flatMap((offer) => {
    const words = offer.path.trim().split(' ').filter(Boolean)
    const typed = words.map((word) => `__fish_seen_subcommand_from ${word}`)
    const condition = typed.length === 0 ? '__fish_use_subcommand' : typed.join('; and ')
    const commands = offer.commands.length > 0 ? [`-f -a "${offer.commands.join(' ')}"`] : []
    const flags = offer.flags.map((flag) => `-l ${flag.slice(2)}`)
    return [...commands, ...flags].map((what) => `complete -c tsctl -n "${condition}" ${what}\n`)
  })
  return `# fish completion for tsctl: tsctl completion fish | source\n${lines.join('')}`
}
