// watcher-group.ts: watchers by what they watch, so that a change finds those whom it concerns.
// Most watch one key: a map. The rest watch intervals: a tree. Nothing here is proportional to the
// number of watchers of other keys.
import { IntervalTree } from './interval-tree.js'
import type { Watcher } from './watcher.js'

export class WatcherGroup {
  readonly #byKey = new Map<string, Set<Watcher>>()
  readonly #intervals = new IntervalTree<Watcher>()
  readonly #all = new Set<Watcher>()

  get size(): number {
    return this.#all.size
  }

  add(watcher: Watcher): void {
    const { key, end } = watcher.options
    this.#all.add(watcher)
    if (end !== undefined) {
      this.#intervals.add(key, end, watcher)
      return
    }
    const watchers = this.#byKey.get(key)
    if (watchers === undefined) this.#byKey.set(key, new Set([watcher]))
    else watchers.add(watcher)
  }

  delete(watcher: Watcher): void {
    const { key, end } = watcher.options
    if (!this.#all.delete(watcher)) return
    if (end !== undefined) {
      this.#intervals.delete(key, end, watcher)
      return
    }
    const watchers = this.#byKey.get(key)
    watchers?.delete(watcher)
    if (watchers?.size === 0) this.#byKey.delete(key)
  }

  /** Visits the watchers that a change of this key concerns; each once. */
  visit(key: string, visit: (watcher: Watcher) => void): void {
    const watchers = this.#byKey.get(key)
    if (watchers !== undefined) for (const watcher of watchers) visit(watcher)
    this.#intervals.visit(key, visit)
  }

  /** All of them, as a list that stays as it is. */
  list(): Watcher[] {
    return [...this.#all]
  }
}
