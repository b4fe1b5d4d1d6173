// shared-events.ts: the event of one change, made when the first watcher needs it and shared by all
// of them: in one form for those who want the pair before it, in another for those who do not.
import type { Stored } from './key-index.js'
import type { Store } from './store.js'
import { WatchEvent } from './watch-event.js'

export class SharedEvents {
  readonly #store: Store
  readonly #change: Stored
  #plain: WatchEvent[] | undefined
  #withPrev: WatchEvent[] | undefined

  constructor(store: Store, change: Stored) {
    this.#store = store
    this.#change = change
  }

  /** A list of the one event, to be shared as it is. */
  list(prevKv: boolean): WatchEvent[] {
    if (prevKv) {
      this.#withPrev ??= [new WatchEvent(this.#change, previousOf(this.#store, this.#change))]
      return this.#withPrev
    }
    this.#plain ??= [new WatchEvent(this.#change, undefined)]
    return this.#plain
  }

  get(prevKv: boolean): WatchEvent {
    return this.list(prevKv)[0] as WatchEvent // every list has one
  }
}

/** The pair as it was one revision before; nothing for a create, nor below the compact revision. */
function previousOf(
  store: Store,
  { index, main, tombstone, createRevision }: Stored,
): Stored | undefined {
  const isCreate = !tombstone && createRevision === main
  return isCreate || main - 1 < store.compactRevision ? undefined : index.at(main - 1)
}
