// watcher.ts: a client that watches all keys, or one. It goes from member to member, when one
// crashes or when it hears nothing for a while, and takes up behind the last revision it was told
// of. Promised is: every event once, in order, whole revisions at a time; only a compaction may
// take some, and then it is told from where on it may go on.
import assert from 'node:assert/strict'
import { type Event, Event_EventType } from '../../src/api/gen/kv.js'
import { WatchRequest, WatchResponse } from '../../src/api/gen/rpc.js'
import { callStream } from './calls.js'
import type { Running, SimulatedMember } from './simulated-member.js'
import type { VirtualTime } from './virtual-time.js'
import type { WatchedEvent, WatchLog } from './watch-log.js'

type RandomNumber = (limit: number) => number

export interface WatcherParts {
  name: string
  time: VirtualTime
  random: RandomNumber
  log: WatchLog
  /** Undefined: all keys. */
  key: string | undefined
  members(): readonly SimulatedMember[]
  note(line: () => string): void
}

/** It looks for another member after so long, and up to as much again. */
const patienceMs = 1_500
/** How long it works on an answer: mostly not at all, sometimes for a while. */
const workMs = [0, 0, 0, 5, 50, 1_000]

/** An empty store stands at 1, so that is the first that a change can have. */
const firstRevision = 2

const all = Buffer.alloc(1)

export class Watcher {
  readonly #parts: WatcherParts
  /** It was told everything before. */
  #next = firstRevision
  /** Revisions that compactions took from it. */
  readonly #gaps: { from: number; to: number }[] = []
  readonly #told: WatchedEvent[] = []
  readonly counts = { events: 0, resumed: 0, compacted: 0 }

  constructor(parts: WatcherParts) {
    this.#parts = parts
  }

  start(): void {
    const { time, random } = this.#parts
    time.after(random(100), () => this.#open())
  }

  /** It was told everything up to the revision. */
  isCurrent(revision: number): boolean {
    const { key, log } = this.#parts
    if (key === undefined) return this.#next > revision
    return this.#missing(log.ofKey(key)).length === 0
  }

  #missing(events: readonly WatchedEvent[]): WatchedEvent[] {
    const told = new Set(this.#told.map(({ revision }) => revision))
    return events.filter(({ revision }) => !told.has(revision) && !this.#isInGap(revision))
  }

  #isInGap(revision: number): boolean {
    return this.#gaps.some(({ from, to }) => from <= revision && revision <= to)
  }

  #open(): void {
    const { members, random, note, name, time } = this.#parts
    const up = members().flatMap(({ running }) => running ?? [])
    const running = up[random(up.length)]
    if (running === undefined) {
      this.start()
      return
    }
    note(() => `${name} watches from ${this.#next} at ${running.service.memberId}`)
    const hangUp = new AbortController()
    const stream = { running, hangUp, isOver: false, heardMs: time.now }
    const end = (): void => this.#end(stream)
    running.life.mourn(end)
    this.#watchOver(stream)
    callStream(running.service, 'Watch/Watch', {
      request: this.#request(),
      isShort: false,
      signal: hangUp.signal,
      onMessage: (message) => this.#take(stream, message),
    }).then(
      () => running.life.after(1, end),
      () => running.life.after(1, end),
    )
  }

  #request(): Uint8Array {
    const { key } = this.#parts
    const range = key === undefined ? { key: all, range_end: all } : { key: Buffer.from(key) }
    return WatchRequest.encode(
      WatchRequest.fromPartial({
        create_request: { ...range, start_revision: String(this.#next) },
      }),
    ).finish()
  }

  /** Hears nothing: perhaps another member knows more. */
  #watchOver(stream: Stream): void {
    const { time, random } = this.#parts
    time.after(patienceMs + random(patienceMs), () => {
      if (stream.isOver) return
      if (time.now - stream.heardMs >= patienceMs) this.#end(stream)
      else this.#watchOver(stream)
    })
  }

  #end(stream: Stream): void {
    if (stream.isOver) return
    stream.isOver = true
    stream.hangUp.abort()
    this.counts.resumed++
    this.start()
  }

  /** The member sends no more before the client has taken this. */
  #take(stream: Stream, message: Buffer): Promise<void> {
    const { random, time } = this.#parts
    const delayMs = 1 + random(3) + (workMs[random(workMs.length)] ?? 0)
    return new Promise((resolve) => {
      stream.running.life.after(delayMs, () => {
        if (stream.isOver) return
        stream.heardMs = time.now
        this.#onAnswer(stream, WatchResponse.decode(message))
        resolve()
      })
    })
  }

  #onAnswer(stream: Stream, { canceled, compact_revision, events }: WatchResponse): void {
    const { name, note } = this.#parts
    const compacted = Number(compact_revision)
    if (compacted > 0) {
      assert(compacted > this.#next, `${name} is refused ${this.#next}, compacted at ${compacted}`)
      note(() => `${name} missed what was before ${compacted}`)
      this.#gaps.push({ from: this.#next, to: compacted - 1 })
      this.#next = compacted
      this.counts.compacted++
    }
    if (canceled) this.#end(stream)
    else this.#onEvents(events.map(watched))
  }

  #onEvents(events: readonly WatchedEvent[]): void {
    const { key, log, name } = this.#parts
    this.counts.events += events.length
    for (const [revision, together] of byRevision(events)) {
      const isNext = key === undefined ? revision === this.#next : revision >= this.#next
      assert(isNext, `${name} is told of ${revision} and waits for ${this.#next}`)
      this.#next = revision + 1
      if (key === undefined) log.see(revision, together, name)
      else for (const event of together) this.#onEvent(event)
    }
  }

  #onEvent(event: WatchedEvent): void {
    const { log, name } = this.#parts
    this.#told.push(event)
    log.seeOne(event, name)
  }
}

interface Stream {
  readonly running: Running
  readonly hangUp: AbortController
  heardMs: number
  isOver: boolean
}

function watched({ type, kv }: Event): WatchedEvent {
  const key = kv?.key.toString() ?? ''
  const value = type === Event_EventType.DELETE ? undefined : kv?.value.toString()
  const revision = Number(kv?.mod_revision)
  const rest = `${kv?.create_revision} ${kv?.version} ${kv?.lease}`
  return { key, value, revision, text: `${revision} ${key} ${value} ${rest}` }
}

/** In the order in which they came; a revision that comes twice stands there twice. */
function byRevision(events: readonly WatchedEvent[]): [number, WatchedEvent[]][] {
  const groups: [number, WatchedEvent[]][] = []
  for (const event of events) {
    const last = groups.at(-1)
    if (last?.[0] === event.revision) last[1].push(event)
    else groups.push([event.revision, [event]])
  }
  return groups
}
