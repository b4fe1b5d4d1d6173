// tidy.ts: as much understanding of TypeScript as the tidy test needs: what a file imports, where
// its functions begin and end, and its text without comments and strings. It leans on the
// formatter: a function ends at the brace that stands as far in as its beginning.
import path from 'node:path'

export interface SourceFile {
  /** From the root, with slashes: `src/raft/log.ts`. */
  readonly name: string
  readonly text: string
}

export interface Import {
  /** A file as `src/raft/log.ts`, or what a package or builtin is called. */
  readonly to: string
  readonly isType: boolean
}

const fromClause = /^(?:import|export)\s(type\s)?[^'"]*?\bfrom\s+'([^']+)'/gm
const bareImport = /^import\s+'([^']+)'/gm
const lateImport = /\bimport\(\s*'([^']+)'\s*\)/g

/** Static, re-exporting and late imports. `import('x')` in a type counts as an import too. */
export function importsOf({ name, text }: SourceFile): Import[] {
  const code = withoutComments(text)
  const found: Import[] = []
  const add = (to: string, isType: boolean): void => {
    if (!to.startsWith('.')) found.push({ to, isType })
    else {
      const file = path.posix.join(path.posix.dirname(name), to).replace(/\.js$/, '.ts')
      found.push({ to: file, isType })
    }
  }
  for (const [, type, to = ''] of code.matchAll(fromClause)) add(to, type !== undefined)
  for (const [, to = ''] of code.matchAll(bareImport)) add(to, false)
  for (const [, to = ''] of code.matchAll(lateImport)) add(to, false)
  return found
}

export interface FunctionPlace {
  readonly name: string
  /** Counted from one. */
  readonly line: number
  readonly length: number
}

const opensFunction = [
  /^\s*(?:export )?(?:async )?function\*? ?(\w+)/,
  /^\s*(?:export )?const (\w+) = (?:async )?(?:<[^>]*>)?\(/,
  /^\s+(?:static |override |async |get |set |\*|\[)*#?(\w+)(?:\]|<[^>]*>)?\(/,
]

const notFunctions = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'constructor'])

/** Functions, methods and arrow functions with a body of several lines. */
export function functionsOf({ text }: SourceFile): FunctionPlace[] {
  const lines = blanked(text).split('\n')
  const found: FunctionPlace[] = []
  lines.forEach((line, at) => {
    const name = opensFunction.map((form) => form.exec(line)?.[1]).find((one) => one !== undefined)
    if (name === undefined || notFunctions.has(name)) return
    const body = bodyStart(lines, at)
    if (body === undefined) return
    const indent = /^\s*/.exec(line)?.[0] ?? ''
    const end = lines.findIndex((other, i) => i > body && other.startsWith(`${indent}}`))
    if (end > 0) found.push({ name, line: at + 1, length: end - at + 1 })
  })
  return found
}

/** The line that opens the body: this one, or the one that closes the list of parameters. */
function bodyStart(lines: readonly string[], at: number): number | undefined {
  const line = lines[at] ?? ''
  if (/(\)|=>|[\w>\]}]) \{$/.test(line)) return at
  if (!/[({]$/.test(line)) return undefined
  const indent = /^\s*/.exec(line)?.[0] ?? ''
  const close = lines.findIndex((other, i) => i > at && other.startsWith(`${indent})`))
  return close > 0 && /\{$/.test(lines[close] ?? '') ? close : undefined
}

/** The text with comments and the insides of strings, templates and patterns as spaces. */
export const blanked = (text: string): string => text.replace(token, blankToken)

/** The text with every string, template and pattern on one line shrunk to its delimiters. */
export const withoutLiterals = (text: string): string =>
  text.replace(token, (found) => (/^\/[/*]|\n/.test(found) ? found : `${found[0]}${found.at(-1)}`))

const withoutComments = (text: string): string =>
  text.replace(token, (found) => (/^\/[/*]/.test(found) ? spaces(found) : found))

const token = new RegExp(
  [
    String.raw`\/\/.*`,
    String.raw`\/\*[\s\S]*?\*\/`,
    String.raw`'(?:[^'\\\n]|\\.)*'`,
    String.raw`"(?:[^"\\\n]|\\.)*"`,
    // A template may hold another one level deep.
    '`(?:[^`\\\\$]|\\\\[\\s\\S]|\\$(?!\\{)|\\$\\{(?:[^`{}]|`[^`]*`|\\{[^{}]*\\})*\\})*`',
    // A slash begins a pattern where an operand is expected.
    String.raw`(?<=[(,=:[!&|?{};+\n]\s*|\breturn\s)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*`,
  ].join('|'),
  'g',
)

const blankToken = (found: string): string =>
  /^\/[/*]/.test(found) ? spaces(found) : `${found[0]}${spaces(found.slice(1, -1))}${found.at(-1)}`

const spaces = (text: string): string => text.replace(/[^\n]/g, ' ')
