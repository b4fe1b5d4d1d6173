// chaos.ts: members of a cluster of processes are killed and suspended at random while clients
// write and read. What clients were told is then held against the promises: there is one order of
// all operations that explains every answer, and afterwards all members have the same data.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
} from '../../src/api/gen/rpc.js'
import type { Connection } from '../../src/connection/connection.js'
import { connected } from '../connection/connecting.js'
import { isUnanswered } from '../server/recovery/unanswered.js'
import { History } from '../simulation/history.js'
import type { Answer, Call } from '../simulation/linearizable.js'
import { type ClusterMember, eventually, type ProcessCluster, sameHash } from './cluster.js'

export interface ChaosOptions {
  seconds: number
  random: (limit: number) => number
  note?: (line: string) => void
}

export interface ChaosResult {
  answered: number
  unanswered: number
  kills: number
  pauses: number
  undecided: number
  keys: number
}

const clientCount = 6
/** Keys that are in use at a time; after so many operations others take their place. */
const keyCount = 4
const operationsPerKeys = 400
const patienceMs = 2_000
/** Between two faults, and how long a fault lasts, at the most. */
const calmMs = 2_500
const faultMs = 2_500

/** @throws AssertionError when a promise was broken */
export async function chaos(cluster: ProcessCluster, options: ChaosOptions): Promise<ChaosResult> {
  const history = new History()
  const untilMs = performance.now() + options.seconds * 1_000
  const run = { cluster, history, untilMs, keys: new Set<string>(), operations: 0, ...options }
  const clients = Array.from({ length: clientCount }, (_, at) => client(run, `c${at}`))
  const faults = makeFaults(run)
  const [{ kills, pauses }] = await Promise.all([faults, ...clients])
  await sameHash(cluster.members)
  await readAll(run)
  history.check()
  return { ...history.counts, kills, pauses, keys: run.keys.size }
}

interface Run extends ChaosOptions {
  cluster: ProcessCluster
  history: History
  untilMs: number
  keys: Set<string>
  operations: number
}

async function client(run: Run, name: string): Promise<void> {
  const { cluster, random, untilMs } = run
  // Each begins with another member, and goes on to the next when that one is gone.
  await using connection = await connected(
    rotated(cluster.endpoints, random(cluster.endpoints.length)),
  )
  let seen: string | undefined
  for (let count = 0; performance.now() < untilMs; count++) {
    const era = Math.floor(run.operations++ / operationsPerKeys)
    const key = `${era}/${random(keyCount)}`
    run.keys.add(key)
    const told = await ask(run, connection, key, chosen(random(100), `${name}-${count}`, seen))
    seen = told?.before ?? seen
  }
}

function chosen(dice: number, value: string, expected: string | undefined): Call {
  if (dice < 40) return { kind: 'put', value }
  if (dice < 75) return { kind: 'get' }
  if (dice < 82) return { kind: 'delete' }
  return { kind: 'swap', expected, value }
}

/** Undefined: no answer. */
async function ask(
  { history }: Run,
  connection: Connection,
  key: string,
  call: Call,
): Promise<Answer | undefined> {
  const asked = history.begin(key, call)
  try {
    const { answer, revision } = await answerOf(connection, Buffer.from(key), call)
    history.end(asked, answer, revision)
    return answer
  } catch (error) {
    if (!isUnanswered(error)) throw error
    // As a program would, before it tries again.
    await sleep(20)
    return undefined
  }
}

async function answerOf({ kv }: Connection, key: Buffer, call: Call) {
  const patience = { deadlineMs: patienceMs }
  if (call.kind === 'get') {
    const { kvs, header } = await kv.range({ key }, patience)
    return told(kvs[0]?.value, header)
  }
  if (call.kind === 'put') {
    const value = Buffer.from(call.value)
    const { prev_kv, header } = await kv.put({ key, value, prev_kv: true }, patience)
    return told(prev_kv?.value, header)
  }
  if (call.kind === 'delete') {
    const { prev_kvs, header } = await kv.deleteRange({ key, prev_kv: true }, patience)
    return told(prev_kvs[0]?.value, header)
  }
  const { succeeded, responses, header } = await kv.txn(swap(key, call), patience)
  const before = succeeded ? call.expected : responses[0]?.response_range?.kvs[0]?.value.toString()
  return { answer: { before, swapped: succeeded }, revision: Number(header?.revision) }
}

function told(before: Buffer | undefined, header: { revision: string } | undefined) {
  return { answer: { before: before?.toString() }, revision: Number(header?.revision) }
}

function swap(key: Buffer, { expected, value }: Extract<Call, { kind: 'swap' }>) {
  const compared =
    expected === undefined
      ? { target: CompareTarget.VERSION, version: '0' }
      : { target: CompareTarget.VALUE, value: Buffer.from(expected) }
  return {
    compare: [{ key, result: CompareResult.EQUAL, ...compared }],
    success: [{ request_put: { key, value: Buffer.from(value) } }],
    failure: [{ request_range: { key } }],
  }
}

/** One member at a time, now and then two, so that the others go on; kills and pauses in turn. */
async function makeFaults(run: Run): Promise<{ kills: number; pauses: number }> {
  const { cluster, random, untilMs, note } = run
  const counts = { kills: 0, pauses: 0 }
  const restarts: Promise<void>[] = []
  for (let isKill = true; performance.now() + calmMs + faultMs < untilMs; isKill = !isKill) {
    await sleep(random(calmMs))
    const chosenCount = random(8) === 0 ? 2 : 1
    const victims = rotated(cluster.members, random(cluster.members.length)).slice(0, chosenCount)
    counts[isKill ? 'kills' : 'pauses'] += victims.length
    note?.(`${isKill ? 'kill' : 'pause'} ${victims.map(({ name }) => name).join(' and ')}`)
    for (const victim of victims) {
      if (isKill) await victim.stop('SIGKILL')
      else victim.suspend()
    }
    await sleep(random(faultMs))
    for (const victim of victims) {
      if (isKill) restarts.push(restarted(victim))
      else victim.resume()
    }
  }
  await Promise.all(restarts)
  return counts
}

/** It may be killed again while it starts, or find no leader for long. */
async function restarted(member: ClusterMember): Promise<void> {
  try {
    await member.start()
  } catch (error) {
    if (!/ended with null|does not serve/.test((error as Error).message)) throw error
  }
}

/** The last answer for each key, from each member: what was acknowledged is there. */
async function readAll({ cluster, history, keys }: Run): Promise<void> {
  for (const { endpoint } of cluster.members) {
    await using connection = await connected(endpoint)
    for (const key of keys) {
      await eventually(`the answer for ${key}`, async () => {
        const asked = history.begin(key, { kind: 'get' })
        const { answer, revision } = await answerOf(connection, Buffer.from(key), { kind: 'get' })
        history.end(asked, answer, revision)
        return answer
      })
    }
  }
}

function rotated<T>(list: readonly T[], by: number): T[] {
  return [...list.slice(by), ...list.slice(0, by)]
}
