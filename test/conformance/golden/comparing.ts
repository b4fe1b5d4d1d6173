// comparing.ts: what two runs of one case are compared by: the exit code, standard output with
// masked what is volatile, and the lines of standard error that are not the log of a library.
import { canonical, withPrefix } from './masking.js'
import type { Case, Outcome } from './recording.js'
import { expectedOutcome } from './recording.js'
import { filled, type Stage } from './replay.js'
import { replaceGroups } from './text.js'
import { versionDifferences } from './version-differences.js'

export interface Comparable {
  exit: number
  stdout: string
  stderr: readonly string[]
}

export function comparable(outcome: Outcome, one: Case, stage: Stage): Comparable {
  return masked(versionDifferences(outcome, one, stage, 'now'), one)
}

/** What the recording says, as a run of this client with these addresses would have put it. */
export function expected(one: Case, stage: Stage): Comparable {
  const { exit, stdout, stderr } = expectedOutcome(one)
  const here = { ...stage, captured: new Map() }
  // All addresses have the same length, so that messages stay whole.
  const moved = Buffer.from(filled(stdout.toString('latin1'), here), 'latin1')
  const outcome = { exit, stdout: moved, stderr: filled(stderr, here) }
  return masked(versionDifferences(outcome, one, stage, 'recorded'), one)
}

function masked({ exit, stdout, stderr }: Outcome, one: Case): Comparable {
  const { volatile, usage_omitted: isUsageOmitted } = one
  // The usage was left out of the recording; each tool has its own.
  const shown = isUsageOmitted ? '' : canonical(stdout, volatile)
  return { exit, stdout: shown, stderr: interfaceLines(stderr, one) }
}

/** Log lines of libraries, and how a tool asks the terminal, are nobody's interface. */
const chatter = [
  /^\{"level":/,
  /^(INFO|WARNING|ERROR): \d{4}\//,
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \w \| /,
  /^stty: /,
  /^no endpoint was reached: /,
  /^$/,
]

function interfaceLines(
  stderr: string,
  { name, volatile, usage_omitted: isUsageOmitted }: Case,
): string[] {
  // Of a crash only the first line is the same each time.
  const said = stderr
    .replace(/^(panic: .*)$[\s\S]*/m, '$1')
    .replaceAll(/\btsctl\b/g, 'etcdctl')
    .replaceAll(...racingAnswers(name))
    .split('\n')
    .filter((line) => !chatter.some((form) => form.test(line)))
    .filter((line) => !isUsageOmitted || line.startsWith('Error: '))
  const text = withPrefix(volatile, 'stderr-re:').reduce(replaceGroups, said.join('\n'))
  const unique = [...new Set(text.split('\n'))].filter((line) => line !== '') // said twice by 3.4
  return volatile.includes('unordered') ? unique.sort() : unique
}

/** Without a quorum the client's deadline and the server's answer race; the recordings say so. */
function racingAnswers(name: string): [said: string, meant: string] {
  const isRace = name.startsWith('cluster/no-quorum-')
  const meant = 'context deadline exceeded'
  return [isRace ? `rpc error: code = Unknown desc = ${meant}` : meant, meant]
}
