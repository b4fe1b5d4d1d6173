// tenant.ts: a client that lives on leases: it is granted one, puts a key with it, renews it for a
// while, and then lets it end, or gives it back. Promised is: as long as the time of the lease has
// not run out since the last renewal was asked for, no read misses the key; once nobody renews it,
// the key goes.
//
// The time counts from the question, because nobody knows when in between the answer was decided.
import assert from 'node:assert/strict'
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
} from '../../src/api/gen/rpc.js'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { callStream, callUnary } from './calls.js'
import type { Running, SimulatedMember } from './simulated-member.js'
import type { VirtualTime } from './virtual-time.js'

type RandomNumber = (limit: number) => number

export interface TenantParts {
  name: string
  time: VirtualTime
  random: RandomNumber
  members(): readonly SimulatedMember[]
  note(line: () => string): void
}

/** Between two calls, at the most. */
const pauseMs = 400
const patienceMs = 1_500
const ttlSecondsMax = 3

interface Tenancy {
  readonly id: string
  readonly ttlMs: number
  readonly key: string
  /** It renews until then. */
  readonly keepUntilMs: number
  /** The key is promised to be there in every answer before this, once it was put. */
  aliveUntilMs: number
  isPut: boolean
  /** It asked for the end, and was told that it has come. */
  isGivenBack: boolean
}

export class Tenant {
  readonly #parts: TenantParts
  #tenancy: Tenancy | undefined
  #count = 0
  isStopped = false
  readonly counts = { granted: 0, renewed: 0, ended: 0 }

  constructor(parts: TenantParts) {
    this.#parts = parts
  }

  /** It has nothing any more. */
  get isIdle(): boolean {
    return this.#tenancy === undefined
  }

  start(): void {
    const { time, random } = this.#parts
    time.after(random(pauseMs), () => this.#next())
  }

  #next(): void {
    const { members, random } = this.#parts
    const up = members().flatMap(({ running }) => running ?? [])
    const running = up[random(up.length)]
    const tenancy = this.#tenancy
    if (running === undefined) this.start()
    else if (tenancy !== undefined) this.#live(tenancy, running)
    else if (!this.isStopped) this.#grant(running)
  }

  #live(tenancy: Tenancy, running: Running): void {
    const { time, random } = this.#parts
    const isKept = time.now < tenancy.keepUntilMs && !this.isStopped
    if (!tenancy.isPut && isKept) this.#put(tenancy, running)
    else if (isKept && random(2) === 0) this.#renew(tenancy)
    else if (!isKept && !tenancy.isGivenBack && random(6) === 0) this.#giveBack(tenancy, running)
    else this.#read(tenancy, running)
  }

  #grant(running: Running): void {
    const { time, random, name } = this.#parts
    const askedMs = time.now
    const TTL = String(1 + random(ttlSecondsMax))
    const request = LeaseGrantRequest.encode({ TTL, ID: '0' }).finish()
    const keepUntilMs = time.now + 500 + random(5_000)
    const key = `${name}-${this.#count++}`
    this.#call(running, callUnary(running.service, 'Lease/LeaseGrant', request), (answer) => {
      const { ID: id, TTL: ttl } = LeaseGrantResponse.decode(answer)
      const ttlMs = Number(ttl) * 1_000
      const aliveUntilMs = askedMs + ttlMs
      const rest = { isPut: false, isGivenBack: false }
      this.#tenancy = { id, ttlMs, key, keepUntilMs, aliveUntilMs, ...rest }
      this.counts.granted++
      return `is granted ${id} for ${ttl} s`
    })
  }

  #put(tenancy: Tenancy, running: Running): void {
    const { id: lease, key } = tenancy
    const fields = { key: Buffer.from(key), value: Buffer.from(key), lease }
    const request = PutRequest.encode(PutRequest.fromPartial(fields)).finish()
    this.#call(running, callUnary(running.service, 'KV/Put', request), () => {
      tenancy.isPut = true
      return `put ${key}`
    })
  }

  /** Only the leader keeps the time. */
  #renew(tenancy: Tenancy): void {
    const { time, random, members } = this.#parts
    const leading = members().flatMap(({ running }) => {
      return running?.service.node.isLeader === true ? running : []
    })
    const running = leading[random(leading.length)]
    if (running === undefined) {
      this.start()
      return
    }
    const askedMs = time.now
    const request = LeaseKeepAliveRequest.encode({ ID: tenancy.id }).finish()
    this.#call(running, renewal(running, request), (answer) => {
      const { TTL } = LeaseKeepAliveResponse.decode(answer)
      const seconds = Number(TTL)
      if (seconds === 0) this.#onGone(tenancy)
      else {
        assert.equal(seconds * 1_000, tenancy.ttlMs, 'a renewal changes the time of a lease')
        tenancy.aliveUntilMs = Math.max(tenancy.aliveUntilMs, askedMs + tenancy.ttlMs)
        this.counts.renewed++
      }
      return `renews ${tenancy.id}: ${TTL} s`
    })
  }

  #giveBack(tenancy: Tenancy, running: Running): void {
    const request = LeaseRevokeRequest.encode({ ID: tenancy.id }).finish()
    tenancy.aliveUntilMs = 0
    this.#call(running, callUnary(running.service, 'Lease/LeaseRevoke', request), () => {
      tenancy.isGivenBack = true
      return `gives ${tenancy.id} back`
    })
  }

  #read(tenancy: Tenancy, running: Running): void {
    const { isGivenBack, key, isPut } = tenancy
    const request = RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from(key) }))
    this.#call(running, callUnary(running.service, 'KV/Range', request.finish()), (answer) => {
      const isThere = RangeResponse.decode(answer).kvs.length > 0
      assert(!(isThere && isGivenBack), `${key} is there although its lease was given back`)
      if (!isThere && isPut) this.#onGone(tenancy)
      // A put that was not answered may still come, as long as there is the lease.
      else if (!isThere && this.#isForgotten(tenancy)) this.#tenancy = undefined
      return `${isThere ? 'sees' : 'misses'} ${key}`
    })
  }

  #isForgotten({ keepUntilMs }: Tenancy): boolean {
    return this.isStopped || this.#parts.time.now >= keepUntilMs
  }

  #onGone(tenancy: Tenancy): void {
    const { now } = this.#parts.time
    const { key, aliveUntilMs } = tenancy
    assert(now >= aliveUntilMs, `${key} is gone at ${now}, promised until ${aliveUntilMs}`)
    this.#tenancy = undefined
    this.counts.ended++
  }

  /** One call after the other: what is not answered in time is given up. */
  #call(running: Running, answer: Promise<Buffer>, onAnswer: (answer: Buffer) => string): void {
    const { time, random, note, name } = this.#parts
    let isOver = false
    const end = (then: () => string): void => {
      if (isOver) return
      isOver = true
      const line = then()
      note(() => `${name} ${line}`)
      this.start()
    }
    const silence = (): void => end(() => 'has no answer')
    time.after(patienceMs, silence)
    running.life.mourn(silence)
    answer.then(
      (bytes) => running.life.after(random(3), () => end(() => onAnswer(bytes))),
      (error: Error) => running.life.after(random(3), () => end(() => this.#onError(error))),
    )
  }

  #onError(error: Error): string {
    const isNoLease = error instanceof EtcdError && error.code === 'leaseNotFound'
    if (isNoLease && this.#tenancy !== undefined) this.#onGone(this.#tenancy)
    return `is refused: ${error.message}`
  }
}

async function renewal({ service }: Running, request: Uint8Array): Promise<Buffer> {
  let answer: Buffer | undefined
  await callStream(service, 'Lease/LeaseKeepAlive', {
    request,
    isShort: true,
    signal: new AbortController().signal,
    onMessage: async (message) => {
      answer = message
    },
  })
  assert(answer !== undefined, 'a renewal without an answer')
  return answer
}
