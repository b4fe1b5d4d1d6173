// status-differences.ts: the differences of 3.7 in `endpoint` and in what is asked of one member:
// columns and keys that 3.4 did not have are taken out, each format in its way.
import { inText, isCommand, type Row } from './row.js'
import { asText } from './text.js'

/** Columns of `endpoint status` that are new, counted from zero. */
const newStatusColumns = [3, 5, 6, 7, 14, 15]

const newStatusFields = [
  'StorageVersion',
  'DBSizeInUse',
  'DBSizeQuota',
  'DowngradeTargetVersion',
  'DowngradeEnabled',
]

export const statusRows: readonly Row[] = [
  {
    reason: 'endpoint status has more columns',
    applies: isCommand('endpoint', 'status'),
    now: (outcome, { format }) => {
      if (format === 'fields') return withoutFields(newStatusFields)(outcome)
      if (format === 'json') return withoutKeys(['storageVersion', 'dbSizeQuota'])(outcome)
      return withoutColumns(newStatusColumns)(outcome)
    },
  },
  {
    reason: 'endpoint hashkv tells the revision',
    applies: isCommand('endpoint', 'hashkv'),
    now: (outcome, { format }) => {
      if (format === 'fields') return withoutFields(['HashRevision'])(outcome)
      if (format === 'json') return withoutKeys(['hash_revision'])(outcome)
      return withoutColumns([2])(outcome)
    },
  },
  {
    reason: 'nothing to print is null',
    applies: ({ argv, format }) => argv[0] === 'endpoint' && format === 'json',
    recorded: inText((text) => (text === '[]\n' ? 'null\n' : text)),
  },
  {
    reason: 'healthy endpoints are told on standard output',
    applies: ({ argv, format }) => argv[1] === 'health' && format === 'simple',
    recorded: ({ exit, stderr }) => {
      const lines = stderr.split('\n')
      const isHealthy = (line: string): boolean => line.includes(' is healthy: ')
      const healthy = lines.filter(isHealthy).map((line) => `${line}\n`)
      const rest = lines.filter((line) => !isHealthy(line)).join('\n')
      return { exit, stdout: Buffer.from(maskTook(healthy.join(''))), stderr: rest }
    },
    now: inText(maskTook),
  },
  {
    reason: 'an alarm makes an endpoint unhealthy',
    applies: ({ file, argv }) => file === 'alarm' && argv[1] === 'health',
    recorded: ({ stdout, stderr }, { format }) => {
      const error = 'Error: unhealthy cluster\n'
      const text = asText(stdout)
      if (format !== 'simple') {
        const sick = text
          .replace('"Health" : true', '"Health" : false')
          .replace('"Error" : ', '"Error" : Active Alarm(s): NOSPACE ')
        return { exit: 1, stdout: Buffer.from(sick), stderr: error }
      }
      const endpoint = /^\S+/.exec(text)?.[0] ?? ''
      const sick = `${endpoint} is unhealthy: failed to commit proposal: Active Alarm(s): NOSPACE \n`
      return { exit: 1, stdout: Buffer.alloc(0), stderr: sick + error + stderr }
    },
  },
]

function maskTook(text: string): string {
  return text.replace(/took = \S+/g, 'took = #')
}

function withoutFields(names: readonly string[]) {
  return inText((text) => text.replace(new RegExp(`^"(${names.join('|')})" : .*\n`, 'gm'), ''))
}

function withoutKeys(names: readonly string[]) {
  return inText((text) => {
    return text.replace(new RegExp(`,"(${names.join('|')})":("[^"]*"|\\d+)`, 'g'), '')
  })
}

/** Of a table, or of the lines that hold the same cells; a table must be one. */
function withoutColumns(columns: readonly number[]) {
  const without = (cells: readonly string[]): string[] =>
    cells.filter((_, at) => !columns.includes(at))
  return inText((text) => {
    if (!text.startsWith('+-')) {
      return text.replace(/^.+$/gm, (line) => without(line.split(', ')).join(', '))
    }
    const lines = text.trimEnd().split('\n')
    const widths = new Set(lines.map((line) => line.length))
    if (widths.size !== 1) throw new Error(`lines of ${[...widths].join(', ')} characters`)
    const kept = lines.map((line) => {
      const bar = line.startsWith('+') ? '+' : '|'
      return `${bar}${without(line.slice(1, -1).split(bar)).join(bar)}${bar}`
    })
    return `${kept.join('\n')}\n`
  })
}
