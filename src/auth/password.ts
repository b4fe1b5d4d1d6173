// password.ts: makes and checks hashes of passwords beside everything else that a server does.
// One hash is worked on at a time, a millisecond of it in a turn of the event loop, so that neither
// a login nor a thousand of them hold up anybody but each other.
import { timingSafeEqual } from 'node:crypto'
// Not the global one: a test that stops time must not stop logins.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EtcdError } from '../api/rpc-errors.js'
import type { Random } from '../platform/random.js'
import {
  type BcryptHash,
  bcryptSteps,
  costMax,
  costMin,
  formatHash,
  parseHash,
  passwordBytesMax,
  saltBytes,
} from './bcrypt.js'

/** As etcd; also in the place of one that bcrypt does not know. */
export const defaultCost = 10

/** Hashes that may wait: about a minute and a half of work at the default cost. */
const waitingMax = 1_000

/** A password that cannot be hashed as a whole. */
export class PasswordError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PasswordError'
  }
}

export class Passwords {
  readonly #cost: number
  readonly #random: Random
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  /** `cost`: each step doubles the work of a guess. */
  constructor(cost: number, random: Random) {
    this.#cost = cost >= costMin && cost <= costMax ? cost : defaultCost
    this.#random = random
  }

  /** @throws PasswordError when it is too long, EtcdError tooManyRequests */
  async hash(password: string): Promise<string> {
    const bytes = Buffer.from(password)
    if (bytes.length > passwordBytesMax) {
      throw new PasswordError(`bcrypt: password length exceeds ${passwordBytesMax} bytes`)
    }
    const how = this.#newHash()
    return formatHash({ ...how, digest: await this.#inTurn(() => bcryptSteps(bytes, how)) })
  }

  /** False also for a hash that no password has. @throws EtcdError tooManyRequests */
  async matches(password: string, hash: string): Promise<boolean> {
    const expected = parseHash(hash)
    if (expected === undefined) return false
    const digest = await this.#inTurn(() => bcryptSteps(Buffer.from(password), expected))
    return timingSafeEqual(digest, expected.digest)
  }

  /** In one piece, for the application of old log entries, which cannot wait. */
  hashNow(password: string): string {
    const how = this.#newHash()
    const steps = bcryptSteps(Buffer.from(password), how)
    for (;;) {
      const step = steps.next()
      if (step.done) return formatHash({ ...how, digest: step.value })
    }
  }

  #newHash(): Omit<BcryptHash, 'digest'> {
    return { cost: this.#cost, salt: this.#random.bytes(saltBytes) }
  }

  #inTurn(begin: () => Generator<void, Buffer, void>): Promise<Buffer> {
    if (this.#waiting >= waitingMax) return Promise.reject(new EtcdError('tooManyRequests'))
    this.#waiting++
    const mine = this.#last.then(() => finished(begin())).finally(() => this.#waiting--)
    this.#last = mine.catch(() => {}) // whoever asked is told
    return mine
  }
}

async function finished(steps: Generator<void, Buffer, void>): Promise<Buffer> {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    await nextTurn()
  }
}
