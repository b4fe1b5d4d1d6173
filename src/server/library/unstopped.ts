// unstopped.ts: which servers a program has started and not stopped. Nothing keeps the
// process alive because of them, so it is said when the process ends, with the test that began it.
import { writeSync } from 'node:fs'
import vm from 'node:vm'

interface Running {
  port: number
  startedBy: string
}

const running = new Map<object, Running>()
let isListening = false

export function noteRunning(server: object, started: Running): void {
  running.set(server, started)
  if (isListening) return
  isListening = true
  realProcess().on('exit', () => {
    for (const line of unstopped()) writeSync(2, `${line}\n`)
  })
}

/** Tests of jest run in a context with a copy of `process`, which nobody tells of the end. */
function realProcess(): NodeJS.Process {
  return vm.runInThisContext('process')
}

export function forgetRunning(server: object): void {
  running.delete(server)
}

/** A line for each. */
export function unstopped(): string[] {
  return [...running.values()].map(
    ({ port, startedBy }) =>
      `the tsctl server on port ${port} was not stopped; started ${startedBy}`,
  )
}

/** To be asked first, as long as the caller stands in the stack. */
export function startedBy(): string {
  const name = currentTest()
  const place = callerPlace()
  return name === undefined ? `at ${place}` : `by the test "${name}" at ${place}`
}

/** jest and vitest tell it through their expect, where there is one. */
function currentTest(): string | undefined {
  const places: readonly PropertyKey[] = ['expect', Symbol.for('expect-global')]
  for (const key of places) {
    const expect: unknown = Reflect.get(globalThis, key)
    if (typeof expect !== 'function' || !('getState' in expect)) continue
    const { getState } = expect
    const state: unknown = typeof getState === 'function' ? getState() : undefined
    if (typeof state !== 'object' || state === null || !('currentTestName' in state)) continue
    if (typeof state.currentTestName === 'string') return state.currentTestName
  }
  return undefined
}

/** The first place in the stack that is not in the folder of this library. */
function callerPlace(): string {
  const lines = (new Error().stack ?? '').split('\n').slice(1)
  const own = folderOf(lines[0] ?? '')
  const isForeign = (line: string) =>
    folderOf(line) !== own && !/node:|(at |\()<anonymous>/.test(line)
  const foreign = lines.find(isForeign)
  return foreign?.replace(/^\s*at\s+(async\s+)?/, '') ?? 'an unknown place'
}

/** `    at f (/some/where/file.js:1:2)` is in /some/where. */
const folderOf = (line: string): string => /\(?([^( ]*)\/[^/]*$/.exec(line)?.[1] ?? ''
