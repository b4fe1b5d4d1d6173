// leaderless.ts: tells streams that there has been no leader for too long. An election takes its
// time, so only the third look without a leader counts.
import { EtcdError } from '../api/rpc-errors.js'

const looksMax = 3

export class Leaderless {
  readonly #waiting = new Set<(error: EtcdError) => void>()
  #looks = 0

  /** To be called once an election timeout. */
  look(hasLeader: boolean): void {
    this.#looks = hasLeader ? 0 : this.#looks + 1
    if (this.#looks < looksMax) return
    for (const reject of [...this.#waiting]) reject(new EtcdError('noLeader'))
    this.#waiting.clear()
  }

  /** `lost` rejects when there has been no leader for too long; forget() when nobody cares. */
  watch(): { lost: Promise<never>; forget(): void } {
    let reject: (error: EtcdError) => void = () => {}
    const lost = new Promise<never>((_, fail) => {
      reject = fail
    })
    this.#waiting.add(reject)
    return { lost, forget: () => this.#waiting.delete(reject) }
  }
}
