// publication.ts: how a member becomes ready: it tells the others who it is, and hears it back out
// of the log. A lone member is its own witness. In a cluster the request may get lost, with a
// leader that dies or a connection that breaks, and nothing else needs to happen before the next
// attempt: it is made again by the clock until it is heard. A lone member that gets company tells
// it, too.
import { EtcdError } from '../../api/rpc-errors.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { Proposer } from '../proposer.js'
import type { Membership } from './membership.js'
import { publishAttributes } from './publisher.js'

export interface PublicationParts {
  memberId: bigint
  name: string
  membership: Membership
  proposer: Pick<Proposer, 'propose' | 'proposeV2'>
  clock: Pick<Clock, 'after'>
  log: Log
  retryMs: number
}

export class Publication {
  /** Resolves when the member is ready. */
  readonly ready: Promise<void>
  readonly #parts: PublicationParts
  #isReady = false
  /** The others know, or are being told. */
  #isTold = false
  #becomeReady: () => void = () => {}

  constructor(parts: PublicationParts) {
    this.#parts = parts
    this.ready = new Promise((resolve) => {
      this.#becomeReady = () => {
        this.#isReady = true
        resolve()
      }
    })
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** To be called when this member knows its leader; does nothing while there is nothing to do. */
  attempt(clientUrls: readonly string[]): void {
    const { memberId: id, name, membership } = this.#parts
    if (membership.size === 1) {
      if (this.#isReady || membership.member(id) === undefined) return
      membership.publish(id, { name, clientUrls })
      this.#becomeReady()
      return
    }
    // Others must agree first on the form that it has in the log.
    const { agreedVersion } = membership
    if (this.#isTold || agreedVersion === undefined) return
    this.#isTold = true
    void this.#publish(clientUrls, agreedVersion)
  }

  async #publish(clientUrls: readonly string[], agreedVersion: string): Promise<void> {
    const { memberId: id, name, proposer, clock, log, retryMs } = this.#parts
    try {
      await publishAttributes(proposer, { id, name, clientUrls }, agreedVersion)
      this.#becomeReady()
    } catch (error) {
      if (error instanceof EtcdError && error.code === 'stopped') return
      log.warn('failed to publish this member', { error: (error as Error).message })
      clock.after(retryMs, () => {
        this.#isTold = false
        this.attempt(clientUrls)
      })
    }
  }
}
