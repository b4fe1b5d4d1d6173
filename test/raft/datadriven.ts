// datadriven.ts: reads and rewrites golden scripts.
//
//     # a comment
//     command word key=value key=(a b)
//     ----
//     what it printed, up to the next empty line
//
// With UPDATE_GOLDEN=1 the printed parts are replaced by what the commands print now.
import { readFileSync, writeFileSync } from 'node:fs'

export interface Command {
  /** Line of the command, for messages. */
  line: number
  word: string
  words: string[]
  /** key=value; key=(a b) is ['a', 'b']. */
  values: ReadonlyMap<string, string[]>
  expected: string
}

export interface Outcome {
  command: Command
  printed: string
}

/** Runs every command of a script; the caller compares printed with expected. */
export function runScript(path: string, run: (command: Command) => string[]): Outcome[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  const outcomes: Outcome[] = []
  const rewritten: string[] = []
  for (let at = 0; at < lines.length; at++) {
    const text = lines[at] ?? ''
    rewritten.push(text)
    if (text === '' || text.startsWith('#')) continue
    const expected: string[] = []
    const line = at + 1
    if (lines[at + 1] !== '----') throw new Error(`${path}:${line}: no ---- after the command`)
    for (at += 2; at < lines.length && lines[at] !== ''; at++) expected.push(lines[at] ?? '')
    const command = { ...parseCommand(text), line, expected: expected.join('\n') }
    const printed = run(command).join('\n') || 'ok'
    outcomes.push({ command, printed })
    rewritten.push('----', printed, '')
  }
  if (process.env.UPDATE_GOLDEN === '1') {
    writeFileSync(path, `${rewritten.join('\n').trimEnd()}\n`)
    return outcomes.map(({ command, printed }) => ({
      command: { ...command, expected: printed },
      printed,
    }))
  }
  return outcomes
}

function parseCommand(text: string): Pick<Command, 'word' | 'words' | 'values'> {
  const words: string[] = []
  const values = new Map<string, string[]>()
  for (const [part] of text.matchAll(/[^\s=]+=\([^)]*\)|\S+/g)) {
    const [key, value] = [part.split('=', 1)[0] ?? '', part.slice(part.indexOf('=') + 1)]
    if (!part.includes('=')) words.push(part)
    else values.set(key, value.startsWith('(') ? listOf(value) : [value])
  }
  const [word = '', ...rest] = words
  return { word, words: rest, values }
}

const listOf = (value: string): string[] => value.slice(1, -1).split(/\s+/).filter(Boolean)
