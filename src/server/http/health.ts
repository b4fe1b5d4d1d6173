// health.ts: whether the member is well, for machines that ask by HTTP. /health is the older
// question, answered as JSON which, as in etcd, calls itself plain text; /livez (is it alive:
// restart it if not) and /readyz (may it be given requests) are lists of named checks.
import { AlarmType } from '../../api/gen/rpc.js'
import type { ServiceParts } from '../rpc/parts.js'
import { type Reply, text, textError } from './reply.js'

export async function healthReply(parts: ServiceParts, options: URLSearchParams): Promise<Reply> {
  const reason = await sickness(parts, options)
  if (reason === '') return { status: 200, type: text, body: '{"health":"true","reason":""}' }
  return textError(503, `{"health":"false","reason":${JSON.stringify(reason)}}`)
}

/** Why the member is not healthy, in etcd's words; empty when it is. */
async function sickness(parts: ServiceParts, options: URLSearchParams): Promise<string> {
  const excluded = options.getAll('exclude')
  for (const name of ['NOSPACE', 'CORRUPT'] as const) {
    if (parts.alarms.isActive(AlarmType[name]) && !excluded.includes(name)) return `ALARM ${name}`
  }
  if (options.get('serializable') === 'true') return ''
  if (parts.node.leader === 0n) return 'RAFT NO LEADER'
  try {
    await parts.node.linearizable()
    return ''
  } catch (error) {
    return `RANGE ERROR:${(error as Error).message}`
  }
}

/** Throws why the check fails. */
type Check = (parts: ServiceParts) => Promise<void> | void

const checks = {
  serializable_read: ({ store }) => void store.get(Buffer.from([0])),
  linearizable_read: ({ node }) => node.linearizable(),
  data_corruption: ({ alarms }) => {
    if (alarms.isActive(AlarmType.CORRUPT)) throw new Error('alarm activated: CORRUPT')
  },
  non_learner: ({ isLearner }) => {
    if (isLearner()) throw new Error('not supported for learner')
  },
} satisfies Record<string, Check>

type CheckName = keyof typeof checks

const probes: Readonly<Record<string, readonly CheckName[]>> = {
  livez: ['serializable_read'],
  readyz: ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'],
}

export const isProbePath = (pathname: string): boolean => /^\/(livez|readyz)(\/|$)/.test(pathname)

/** What each check of a probe gave last, for the metrics. */
export type NoteCheck = (check: { type: string; name: string; isGood: boolean }) => void

/** Undefined when there is no such check. */
export async function probeReply(
  parts: ServiceParts,
  { pathname, searchParams }: URL,
  note: NoteCheck,
): Promise<Reply | undefined> {
  const [, type = '', single] = pathname.split('/')
  const all = probes[type] ?? []
  const excluded = new Set(searchParams.getAll('exclude'))
  const names = single ? all.filter((name) => name === single) : all
  if (names.length === 0) return undefined
  const lines: string[] = []
  let isGood = true
  for (const name of single ? names : names.filter((each) => !excluded.has(each))) {
    const problem = await failure(checks[name], parts)
    note({ type, name, isGood: problem === undefined })
    isGood &&= problem === undefined
    lines.push(problem === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${problem}\n`)
  }
  const shown = !isGood || searchParams.has('verbose') ? lines.join('') : ''
  const body = isGood ? `${shown}ok\n` : shown
  return { status: isGood ? 200 : 503, type: text, isNosniff: true, body }
}

async function failure(check: Check, parts: ServiceParts): Promise<string | undefined> {
  try {
    await check(parts)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
