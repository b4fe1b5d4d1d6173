// ending.ts: how a server or a cluster inside a program ends: once, its clients with it, and from
// then on nobody is told that it was not stopped.
import type { Clients } from './client.js'
import { forgetRunning } from './unstopped.js'

interface Ended {
  /** What noteRunning() was told of. */
  owner: object
  clients: Clients
  /** Ends what is the owner's own, after its clients. */
  end(): Promise<void>
}

export class Ending {
  readonly #ended: Ended
  #ending: Promise<void> | undefined

  constructor(ended: Ended) {
    this.#ended = ended
  }

  get isBegun(): boolean {
    return this.#ending !== undefined
  }

  /** The second call waits for the first. */
  readonly stop = (): Promise<void> => {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    const { owner, clients } = this.#ended
    forgetRunning(owner)
    clients.close()
    await this.#ended.end()
  }
}
