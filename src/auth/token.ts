// token.ts: what a client shows instead of its password. Two kinds, chosen by --auth-token:
//
//     simple   gteFjsFZBjklslUe.42        16 letters, and the index of the entry that made it
//     jwt      eyJhbGciOi...              signed, and bound to the auth revision (jwt.ts)
//
// Simple tokens are known to every member, because the entry in the log carries the letters. They
// live in memory only, end some time after their last use, and do not survive a restart.
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'

/** Who asks, and how old what they know of users and roles is. */
export interface Identity {
  readonly user: string
  /** Auth revision that the permissions of this call go by. */
  readonly revision: number
}

/** An authentication that came out of the log. */
export interface Login {
  readonly user: string
  /** Chosen by the member that checked the password. */
  readonly letters: string
  /** Of the entry in the log. */
  readonly index: number
  readonly revision: number
}

export interface Tokens {
  /** What goes into the log with an authentication; empty when the token needs nothing there. */
  letters(): string
  /** Every member remembers a login, in the order of the log. */
  remember(login: Login): void
  /** The token for the client that logged in. @throws TokenError */
  issue(login: Login): string
  /** Index that this member must have applied before it can tell whether the token is good. */
  knownFrom(token: string): number
  /** Undefined: no token of ours, or not any more. `revision`: of the auth store now. */
  identify(token: string, revision: number): Identity | undefined
  /** The user is gone or has another password. */
  forget(user: string): void
  forgetAll(): void
}

/** A token cannot be made, or the setting that says how cannot be followed. */
export class TokenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TokenError'
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const letterCount = 16

export class SimpleTokens implements Tokens {
  readonly #clock: Pick<Clock, 'now'>
  readonly #random: Random
  readonly #ttlMs: number
  /** Those used last stand last, so those that end first stand first. */
  readonly #byText = new Map<string, { user: string; endsMs: number }>()

  constructor(parts: { clock: Pick<Clock, 'now'>; random: Random }, ttlSeconds: number) {
    this.#clock = parts.clock
    this.#random = parts.random
    this.#ttlMs = ttlSeconds * 1000
  }

  letters(): string {
    const next = () => alphabet[this.#random.below(alphabet.length)]
    return Array.from({ length: letterCount }, next).join('')
  }

  remember(login: Login): void {
    this.#sweep()
    this.#touch(this.issue(login), login.user)
  }

  issue({ letters, index }: Login): string {
    return `${letters}.${index}`
  }

  knownFrom(token: string): number {
    return Number(indexOf(token) ?? 0)
  }

  identify(token: string, revision: number): Identity | undefined {
    const found = this.#byText.get(token)
    if (found === undefined || found.endsMs <= this.#clock.now()) return undefined
    this.#touch(token, found.user)
    return { user: found.user, revision }
  }

  forget(user: string): void {
    for (const [text, token] of this.#byText) if (token.user === user) this.#byText.delete(text)
  }

  forgetAll(): void {
    this.#byText.clear()
  }

  #touch(text: string, user: string): void {
    this.#byText.delete(text)
    this.#byText.set(text, { user, endsMs: this.#clock.now() + this.#ttlMs })
  }

  #sweep(): void {
    const now = this.#clock.now()
    for (const [text, { endsMs }] of this.#byText) {
      if (endsMs > now) return
      this.#byText.delete(text)
    }
  }
}

/** Two parts only, the second an index that a log can reach. */
function indexOf(token: string): string | undefined {
  return /^[^.]*\.(\d{1,16})$/.exec(token)?.[1]
}
