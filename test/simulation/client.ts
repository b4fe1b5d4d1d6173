// client.ts: a client of a simulated cluster. It puts, reads, deletes, swaps and compacts, one call
// after the other, each on a member that chance picks, through the handlers that the network would
// call. A call that the member does not answer in time is given up; it may take effect later.
import {
  CompactionRequest,
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type ResponseHeader,
  TxnRequest,
  TxnResponse,
} from '../../src/api/gen/rpc.js'
import type { ServiceParts } from '../../src/server/rpc/parts.js'
import { callUnary } from './calls.js'
import type { History } from './history.js'
import type { Answer, Call } from './linearizable.js'
import type { Running, SimulatedMember } from './simulated-member.js'
import type { VirtualTime } from './virtual-time.js'

type RandomNumber = (limit: number) => number

export interface ClientParts {
  name: string
  time: VirtualTime
  random: RandomNumber
  history: History
  keys: readonly string[]
  /** Values are made so long; what does not fit a sector of the disk may be written in part. */
  valueBytes: number
  members(): readonly SimulatedMember[]
  note(line: () => string): void
}

/** How long clients wait for an answer: some soon ask another member. */
const patiencesMs = [300, 1_500, 4_000]
/** Up to so long it thinks before the next call. */
const thinkMs = 60
/** Of a hundred answers so many get lost on their way back. */
const lostPercent = 2

export class Client {
  readonly #parts: ClientParts
  /** What it saw last, to swap. */
  readonly #seen = new Map<string, string | undefined>()
  readonly #patienceMs: number
  #count = 0
  isStopped = false
  /** Writes that were answered. */
  answeredWrites = 0

  constructor(parts: ClientParts) {
    this.#parts = parts
    this.#patienceMs = patiencesMs[parts.random(patiencesMs.length)] ?? 0
  }

  start(): void {
    const { time, random } = this.#parts
    time.after(random(thinkMs), () => this.#next())
  }

  #next(): void {
    if (this.isStopped) return
    const { members, random, keys } = this.#parts
    const up = members().flatMap(({ running }) => running ?? [])
    const running = up[random(up.length)]
    const key = keys[random(keys.length)]
    if (running === undefined || key === undefined) {
      this.start()
      return
    }
    if (random(60) === 0) this.#compact(running)
    this.#call(running, key, this.#choose(key))
  }

  #choose(key: string): Call {
    const { random, name, valueBytes } = this.#parts
    const dice = random(100)
    const value = `${name}-${this.#count++}`.padEnd(valueBytes, '.')
    if (dice < 40) return { kind: 'put', value }
    if (dice < 75) return { kind: 'get' }
    if (dice < 82) return { kind: 'delete' }
    return { kind: 'swap', expected: this.#seen.get(key), value }
  }

  #call(running: Running, key: string, call: Call): void {
    const { time, random, history, note, name } = this.#parts
    const asked = history.begin(key, call)
    let isOver = false
    const end = (told?: Told): void => {
      if (isOver) return
      isOver = true
      note(() => brief(`${name} ${Object.values(call).join(' ')} ${key} → ${text(told)}`))
      if (told !== undefined) this.#answered(asked, told)
      this.start()
    }
    const isLost = random(100) < lostPercent
    time.after(this.#patienceMs, () => end())
    running.life.mourn(() => end())
    running.life.after(random(3), () => {
      ask(running.service, key, call).then(
        (told) => running.life.after(random(3), () => end(isLost ? undefined : told)),
        () => running.life.after(random(3), () => end()),
      )
    })
  }

  #answered(asked: ReturnType<History['begin']>, told: Told): void {
    const { call, key } = asked
    this.#parts.history.end(asked, told.answer, told.revision)
    if (call.kind !== 'get') this.answeredWrites++
    const isPut = call.kind === 'put' || told.answer.swapped === true
    const isRead = call.kind === 'get' || call.kind === 'swap'
    if (isPut && 'value' in call) this.#seen.set(key, call.value)
    else if (isRead) this.#seen.set(key, told.answer.before)
    else this.#seen.delete(key)
  }

  /** Nobody waits for it: whether it came through shows in what members keep. */
  #compact({ service }: Running): void {
    const { history, random, note, name } = this.#parts
    const revision = history.newest - random(20)
    if (revision <= 1) return
    note(() => `${name} compacts at ${revision}`)
    const request = CompactionRequest.encode({ revision: String(revision), physical: false })
    send(service, 'Compact', request.finish()).catch(() => {})
  }
}

interface Told {
  answer: Answer
  revision: number
}

async function ask(service: ServiceParts, name: string, call: Call): Promise<Told> {
  const key = Buffer.from(name)
  if (call.kind === 'get') {
    const request = RangeRequest.encode(RangeRequest.fromPartial({ key })).finish()
    const { header, kvs } = RangeResponse.decode(await send(service, 'Range', request))
    return { answer: { before: kvs[0]?.value.toString() }, revision: revisionOf(header) }
  }
  if (call.kind === 'put') {
    const put = { key, value: Buffer.from(call.value), prev_kv: true }
    const request = PutRequest.encode(PutRequest.fromPartial(put)).finish()
    const { header, prev_kv } = PutResponse.decode(await send(service, 'Put', request))
    return { answer: { before: prev_kv?.value.toString() }, revision: revisionOf(header) }
  }
  if (call.kind === 'delete') {
    const range = { key, prev_kv: true }
    const request = DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial(range)).finish()
    const answered = DeleteRangeResponse.decode(await send(service, 'DeleteRange', request))
    const before = answered.prev_kvs[0]?.value.toString()
    return { answer: { before }, revision: revisionOf(answered.header) }
  }
  const request = TxnRequest.encode(swapRequest(key, call)).finish()
  const { header, succeeded, responses } = TxnResponse.decode(await send(service, 'Txn', request))
  const before = responses[0]?.response_range?.kvs[0]?.value.toString()
  return { answer: { before, swapped: succeeded }, revision: revisionOf(header) }
}

function swapRequest(key: Buffer, call: Extract<Call, { kind: 'swap' }>): TxnRequest {
  const { expected, value } = call
  const compared =
    expected === undefined
      ? { target: Compare_CompareTarget.VERSION, version: '0' }
      : { target: Compare_CompareTarget.VALUE, value: Buffer.from(expected) }
  return TxnRequest.fromPartial({
    compare: [{ key, result: Compare_CompareResult.EQUAL, ...compared }],
    success: [{ request_put: { key, value: Buffer.from(value) } }],
    failure: [{ request_range: { key } }],
  })
}

const send = (service: ServiceParts, method: string, request: Uint8Array): Promise<Buffer> =>
  callUnary(service, `KV/${method}`, request)

function revisionOf(header: ResponseHeader | undefined): number {
  return Number(header?.revision ?? 0)
}

function text(told: Told | undefined): string {
  if (told === undefined) return 'no answer'
  const { answer, revision } = told
  return `${answer.before ?? '-'} ${answer.swapped ?? ''} at ${revision}`
}

const brief = (line: string): string => line.replaceAll(/\.{2,}/g, '…')
