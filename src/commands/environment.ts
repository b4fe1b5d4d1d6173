// environment.ts: what the global flags come to. The command line beats the variable ETCDCTL_X,
// which beats the default; an empty variable counts as none. Unlike etcdctl, which is silent, a
// variable that cannot be read is an error: a script that sets a time limit means it.
//
// Other variables named ETCDCTL_ are not ours to judge (ETCDCTL_API is in every tutorial), so only
// --debug mentions them.
import { durationText } from '../output/duration.js'
import { type Environment, goQuote, UsageError } from './context.js'
import { type GlobalFlag, type GlobalOptions, globalFlags, variableOf } from './global-flags.js'
import type { Flag, Parsed } from './parse.js'
import { ValueError } from './values.js'

export function globalOptions(parsed: Parsed, env: Environment): GlobalOptions {
  const entries = globalFlags.map((flag) => {
    const isGiven = parsed.given.has(flag.name)
    return [flag.key, isGiven ? parsed.values[flag.key] : (fromVariable(flag, env) ?? flag.default)]
  })
  const isGiven = parsed.given.has('command-timeout') || !!env.ETCDCTL_COMMAND_TIMEOUT
  // Each key has a value of the type that its flag reads.
  const values: Omit<GlobalOptions, 'commandTimeoutGiven'> = Object.fromEntries(entries)
  return { ...values, commandTimeoutGiven: isGiven }
}

/** The value that the flag's variable holds; undefined without one. */
export function fromVariable(flag: Pick<Flag, 'name' | 'read'>, env: Environment): unknown {
  const variable = variableOf(flag.name)
  const text = env[variable]
  if (text === undefined || text === '') return undefined
  try {
    return flag.read(text, undefined)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    const problem = `invalid value ${goQuote(text)} of environment variable ${variable}`
    throw new UsageError(`${problem}: ${error.message}`, 1)
  }
}

/** What --debug says first: one line a flag, by name, as the variable that would set it. */
export function debugLines(parsed: Parsed, options: GlobalOptions, env: Environment): string {
  const flags = [...globalFlags].sort((a, b) => (a.name < b.name ? -1 : 1))
  const lines = flags.map((flag) => `${variableOf(flag.name)}=${shown(flag, options)}`)
  const known = new Set([...globalFlags.map((flag) => variableOf(flag.name)), 'ETCDCTL_API'])
  const strangers = Object.keys(env).filter((name) => name.startsWith('ETCDCTL_'))
  for (const name of strangers.sort()) {
    if (!known.has(name)) lines.push(`${name} is set and belongs to no global flag`)
  }
  for (const flag of globalFlags) {
    if (parsed.given.has(flag.name) && env[variableOf(flag.name)] !== undefined) {
      lines.push(`--${flag.name} was given: ${variableOf(flag.name)} does not count`)
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}

function shown(flag: GlobalFlag, options: GlobalOptions): string {
  const value = options[flag.key]
  if (flag.isSecret) return value === '' ? '' : '***'
  if (flag.key === 'user') return String(value).replace(/:.*/s, ':***')
  if (flag.placeholder === 'duration') return durationText(BigInt(Math.round(Number(value) * 1e6)))
  return Array.isArray(value) ? `[${value.join(',')}]` : String(value ?? '')
}
