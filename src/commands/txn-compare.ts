// txn-compare.ts: one compare of a transaction, as it is typed:
//
//   TARGET("KEY") OP "VALUE"          val("a b") = "1"      mod(`k`) > "7"
//
// Targets: ver, version, c, create, m, mod, val, value, lease. Operators: = != > <. Key and value
// are Go's quoted strings, numbers too; a lease is hexadecimal, as everywhere on the command line.
// What stands behind the value counts for nothing.
import type { Compare, DeepPartial } from '../api/gen/rpc.js'
import { bytes, CommandError, goQuote, hexProblem, hexValue } from './context.js'
import { SyntaxProblem, unquoted } from './tokenise.js'
import { decimal, ValueError } from './values.js'

/** Throws a CommandError of exit code 3, with etcdctl's words. */
export function parseCompare(line: string): DeepPartial<Compare> {
  const paren = line.indexOf('(')
  if (paren < 0) throw malformed(line)
  const target = line.slice(0, paren)
  const { key, operator, value } = scanned(line.slice(paren + 1))
  if (key === undefined || operator === undefined || value === undefined) {
    const got = `${target}(${goQuote(key ?? '')}) ${operator ?? ''} "${value ?? ''}"`
    throw malformed(`${line}; got ${got}`)
  }
  const read = targets.get(target)
  if (read === undefined) throw malformed(`${line} (unknown target ${target})`)
  const against = compared(line, value, read)
  const result = results.get(operator)
  if (result === undefined) throw malformed(`${line} (unknown operator ${operator})`)
  return { key: bytes(key), result, ...against }
}

const malformed = (what: string): CommandError =>
  new CommandError(`malformed comparison: ${what}`, { exitCode: 3 })

const results: ReadonlyMap<string, Compare['result']> = new Map([
  ['=', 0],
  ['>', 1],
  ['<', 2],
  ['!=', 3],
] as const)

type Read = (value: string) => DeepPartial<Compare>

const version: Read = (value) => ({ target: 0, version: String(decimal(value)) })
const create: Read = (value) => ({ target: 1, create_revision: String(decimal(value)) })
const mod: Read = (value) => ({ target: 2, mod_revision: String(decimal(value)) })
const content: Read = (value) => ({ target: 3, value: bytes(value) })
const lease: Read = (value) => {
  const problem = hexProblem(value, 'signed')
  if (problem !== undefined) throw new ValueError(problem)
  return { target: 4, lease: String(hexValue(value)) }
}

const targets: ReadonlyMap<string, Read> = new Map([
  ['ver', version],
  ['version', version],
  ['c', create],
  ['create', create],
  ['m', mod],
  ['mod', mod],
  ['val', content],
  ['value', content],
  ['lease', lease],
])

function compared(line: string, value: string, read: Read): DeepPartial<Compare> {
  try {
    return read(value)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    const problem = `invalid txn compare request: ${line}`
    throw new CommandError(problem, { exitCode: 3, cause: error })
  }
}

interface Scanned {
  key?: string
  operator?: string
  value?: string
}

/** Go's white space, as part of a pattern; that of trim() is not quite the same. */
export const blank =
  '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const literal = '"(?:[^"\\\\]|\\\\.)*"|`[^`]*`'
const keyForm = new RegExp(`^${blank}*(${literal})`, 'su')
const operatorForm = new RegExp(`^\\)${blank}+((?:(?!${blank}).)+)`, 'su')
const valueForm = new RegExp(`^${blank}+(${literal})`, 'su')

/** The parts as far as the text has the form; where it ends to, the rest is undefined. */
function scanned(text: string): Scanned {
  const [keyPart = '', keyLiteral] = keyForm.exec(text) ?? []
  const key = literalText(keyLiteral)
  if (key === undefined) return {}
  const afterKey = text.slice(keyPart.length)
  const [operatorPart = '', operator] = operatorForm.exec(afterKey) ?? []
  if (operator === undefined) return { key }
  const [, valueLiteral] = valueForm.exec(afterKey.slice(operatorPart.length)) ?? []
  const value = literalText(valueLiteral)
  return value === undefined ? { key, operator } : { key, operator, value }
}

function literalText(quoted: string | undefined): string | undefined {
  if (quoted === undefined) return undefined
  try {
    return unquoted(quoted)
  } catch (error) {
    if (error instanceof SyntaxProblem) return undefined
    throw error
  }
}
