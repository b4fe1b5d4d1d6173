// watch-log.ts: what watchers were told, and what they should have been. Whoever watches all keys
// sees every revision; those that a compaction took before it came to them are the only exception.
import assert from 'node:assert/strict'
import type { Acknowledged } from './history.js'

export interface WatchedEvent {
  key: string
  /** Undefined: deleted. */
  value: string | undefined
  revision: number
  /** Everything that a watcher is told. */
  text: string
}

export class WatchLog {
  /** What happened at each revision, as the first watcher of all keys was told. */
  readonly #events = new Map<number, readonly WatchedEvent[]>()
  /** Events of single keys, by `key revision`, as the first watcher of one was told. */
  readonly #ofKey = new Map<string, WatchedEvent>()

  /** All events of a revision. */
  see(revision: number, events: readonly WatchedEvent[], who: string): void {
    const known = this.#events.get(revision)
    if (known === undefined) this.#events.set(revision, events)
    else assert.equal(textOf(events), textOf(known), `${who} is told something else`)
  }

  /** One who watches a single key. */
  seeOne(event: WatchedEvent, who: string): void {
    const name = `${event.key} ${event.revision}`
    const known = this.#ofKey.get(name)
    if (known === undefined) this.#ofKey.set(name, event)
    else assert.equal(event.text, known.text, `${who} is told something else`)
  }

  /** Events of a key, by all that is known from watchers of all keys. */
  ofKey(key: string): WatchedEvent[] {
    return [...this.#events.values()].flat().filter((event) => event.key === key)
  }

  /** What clients were told and what watchers were told is one story. */
  check(acknowledged: readonly Acknowledged[]): void {
    for (const { key, value, revision } of acknowledged) {
      const events = this.#events.get(revision)
      if (events === undefined) continue
      const found = events.find((event) => event.key === key)
      assert(
        found !== undefined && found.value === value,
        `${key} became ${value} at ${revision}, watchers were told ${textOf(events)}`,
      )
    }
    for (const event of this.#ofKey.values()) {
      const all = this.#events.get(event.revision)
      if (all === undefined) continue
      const found = all.find(({ key }) => key === event.key)
      assert.equal(event.text, found?.text, 'watchers of one key and of all are told differently')
    }
  }
}

const textOf = (events: readonly WatchedEvent[]): string =>
  events.map(({ text }) => text).join(', ')
