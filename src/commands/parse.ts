// parse.ts: the words of a command line, taken apart as Go's pflag takes them apart. commander
// holds the declaration; its own parser cannot follow these rules (`--prefix=false`, `-wjson`,
// flags and positionals in any order, the texts of the errors), so this one reads the declaration.
// etcd's server reads its words with Go's own package instead, where `-name` is `--name`.
import type { Option } from 'commander'
import { goQuote } from './argument.js'
import { boolean, ValueError } from './values.js'

/** One flag: what the parser must know, whoever declared it. */
export interface Flag {
  /** Without the dashes: `prev-kv`. */
  readonly name: string
  readonly short: string | undefined
  /** The name that its value gets: `prevKv`. */
  readonly key: string
  readonly isBoolean: boolean
  /** Reads a text, given what earlier words made of the flag; undefined at its first word. */
  read(text: string, before: unknown): unknown
}

export interface Parsed {
  /** Values of the flags that were given, by key. */
  readonly values: Readonly<Record<string, unknown>>
  /** Names of the flags that were given. */
  readonly given: ReadonlySet<string>
  readonly positionals: readonly string[]
  /** How many positionals stand before the first `--`; undefined without one. */
  readonly beforeSeparator: number | undefined
}

/** A line that cannot be taken apart. main shows usage below it. */
export class ParseError extends Error {
  override readonly name = 'ParseError'
  readonly exitCode: number

  constructor(
    message: string,
    { exitCode = 1, cause }: { exitCode?: number; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.exitCode = exitCode
  }
}

export function flagOf(option: Option): Flag {
  const { parseArg } = option
  return {
    name: (option.long ?? '').replace(/^--/, ''),
    short: option.short?.replace(/^-/, ''),
    key: flagKey(option),
    isBoolean: !option.required && !option.optional,
    read: (text, before) => {
      if (parseArg !== undefined) return parseArg(text, before)
      return option.required ? text : boolean(text)
    },
  }
}

/**
 * The name that the value of a flag gets. commander takes the `no-` of `--no-password` for a
 * negation and would put it where the value of `--password` is.
 */
export function flagKey(option: Option): string {
  const name = option.attributeName()
  return option.negate ? `no${name.charAt(0).toUpperCase()}${name.slice(1)}` : name
}

/** The words of a server: a flag has one dash or two, and no letter stands for it but -h. */
export function parseServerWords(words: readonly string[], flags: readonly Flag[]): Parsed {
  try {
    return parse(words, flags, { isServer: true })
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new ParseError(error.message, { exitCode: 2, cause: error.cause })
  }
}

export function parse(
  words: readonly string[],
  flags: readonly Flag[],
  { isServer = false }: { isServer?: boolean } = {},
): Parsed {
  const values: Record<string, unknown> = {}
  const given = new Set<string>()
  const positionals: string[] = []
  const rest = [...words].reverse() // the next word is the last

  const set = (flag: Flag, text: string): void => {
    try {
      values[flag.key] = flag.read(text, values[flag.key])
    } catch (error) {
      if (!(error instanceof ValueError)) throw error
      const shown = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`
      const what = `invalid argument ${goQuote(text)} for "${shown}" flag`
      throw new ParseError(`${what}: ${error.message}`, { cause: error })
    }
    given.add(flag.name)
  }

  for (let word = rest.pop(); word !== undefined; word = rest.pop()) {
    if (word === '--') {
      const beforeSeparator = positionals.length
      return { values, given, positionals: [...positionals, ...rest.reverse()], beforeSeparator }
    }
    if (isServer && /^-[^-]./s.test(word)) longFlag(`-${word}`, { rest, flags, set })
    else if (word.startsWith('--')) longFlag(word, { rest, flags, set })
    else if (word.startsWith('-') && word.length > 1) shortFlags(word, { rest, flags, set })
    else positionals.push(word)
  }
  return { values, given, positionals, beforeSeparator: undefined }
}

interface Setting {
  readonly rest: string[]
  readonly flags: readonly Flag[]
  set(flag: Flag, text: string): void
}

function longFlag(word: string, { rest, flags, set }: Setting): void {
  const equals = word.indexOf('=')
  const name = word.slice(2, equals < 0 ? undefined : equals)
  if (name === '' || name.startsWith('-')) throw new ParseError(`bad flag syntax: ${word}`)
  const flag = flags.find((one) => one.name === name)
  if (flag === undefined) throw new ParseError(`unknown flag: --${name}`)
  const value = equals >= 0 ? word.slice(equals + 1) : flag.isBoolean ? 'true' : rest.pop()
  if (value === undefined) throw new ParseError(`flag needs an argument: ${word}`)
  set(flag, value)
}

/** `-hw json`: letters in a row; the first that takes a value takes all that follows. */
function shortFlags(word: string, { rest, flags, set }: Setting): void {
  let letters = word.slice(1)
  while (letters !== '') {
    const [letter = ''] = letters
    const where = `'${letter}' in -${letters}`
    const flag = flags.find((one) => one.short === letter)
    if (flag === undefined) throw new ParseError(`unknown shorthand flag: ${where}`)
    const attached = letters.slice(letter.length)
    const hasEquals = attached.startsWith('=') && attached.length > 1
    if (flag.isBoolean && !hasEquals) {
      set(flag, 'true')
      letters = attached
      continue
    }
    const value = hasEquals ? attached.slice(1) : attached !== '' ? attached : rest.pop()
    if (value === undefined) throw new ParseError(`flag needs an argument: ${where}`)
    set(flag, value)
    return
  }
}
