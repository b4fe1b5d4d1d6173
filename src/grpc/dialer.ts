// dialer.ts: finds, among several addresses, one connection that works, and gives it to the calls
// that wait for one.
//
// A round tries the addresses in turn, the next one a moment after the last, or at once when the
// last failed; the first that answers in HTTP/2 wins and the others are dropped. A round in which
// all failed is repeated after a growing pause, for as long as a call waits. Nothing is dialed
// for nobody.
import type { Clock, Timer } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { Address, TlsOptions } from './address.js'
import { backoffMs } from './backoff.js'
import { Connection, type ConnectionWatcher } from './connection.js'
import { dialError } from './dial-error.js'
import { RpcError, Status } from './status.js'

/** A healthy server on the other side of the world still answers first. */
const staggerMs = 250

/** How long one address may take to show that it speaks HTTP/2 before it counts as failed. */
const dialTimeoutMs = 20_000

/** Calls that wait hold their request in memory. */
const waitersMax = 100_000

/** A call in search of a connection. */
export interface Waiter {
  /** May be sent before the peer has shown that it speaks HTTP/2. */
  readonly isEager: boolean
  start(connection: Connection): void
  end(error: RpcError): void
}

export interface DialerOptions {
  readonly addresses: readonly Address[]
  readonly tls: TlsOptions | undefined
  readonly userAgent: string
  readonly clock: Clock
  readonly random: Random
  readonly keepaliveTimeMs: number
  readonly keepaliveTimeoutMs: number
}

export class Dialer {
  everConnected = false
  isClosed = false
  readonly #options: DialerOptions
  readonly #waiters = new Set<Waiter>()
  readonly #connections = new Set<Connection>() // all that are not closed
  readonly #attempts = new Map<Connection, Timer>() // those of the round, with their time limits
  readonly #errors = new Map<Address, Error>() // the last failure of each address
  #untried: Address[] = [] // of the round
  #isRound = false
  #current: Connection | undefined
  #first = 0 // index of the address that a round begins with
  #failedRounds = 0
  #notBefore = Number.NEGATIVE_INFINITY // when the next round may begin, on the clock
  #stagger: Timer | undefined
  #backoff: Timer | undefined
  readonly #whenEmpty: (() => void)[] = []

  constructor(options: DialerOptions) {
    this.#options = options
    this.#dial()
  }

  get current(): Connection | undefined {
    return this.#current
  }

  /** Why nothing can be reached, one reason an address; undefined when nothing failed yet. */
  get lastError(): Error | undefined {
    const errors = [...this.#errors.values()]
    if (errors.length <= 1) return errors[0]
    return new Error(errors.map((error) => error.message).join('; '), { cause: errors.at(-1) })
  }

  /** Starts the call on a connection, now or when there is one. */
  serve(waiter: Waiter): void {
    if (this.isClosed) {
      waiter.end(closingError({ unprocessed: true }))
      return
    }
    // A connection may be gone before its close event says so.
    if (this.#current?.takesCalls === false) this.#lose(this.#current)
    if (this.#waiters.size === 0 && this.#current?.hasRoom === true) {
      waiter.start(this.#current)
      return
    }
    if (this.#waiters.size >= waitersMax) {
      const details = `more than ${waitersMax} calls wait for a connection`
      waiter.end(new RpcError(Status.resourceExhausted, details, { unprocessed: true }))
      return
    }
    this.#waiters.add(waiter)
    if (this.#current !== undefined) return // onRoom() tells of its turn
    if (!this.#isRound) this.#dialWhenDue()
    else if (waiter.isEager) this.#startEager()
  }

  /** The call gave up waiting. */
  forget(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    if (this.#waiters.size === 0) this.#cancelBackoff()
  }

  switchAddress(): void {
    const left = this.#current
    if (left === undefined || this.#options.addresses.length === 1) return
    this.#first =
      (this.#options.addresses.indexOf(left.address) + 1) % this.#options.addresses.length
    this.#lose(left)
    left.drain()
  }

  /** Resolves when every connection is gone. */
  close(): Promise<void> {
    this.isClosed = true
    this.#endRound()
    this.#cancelBackoff()
    this.#current = undefined
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.end(closingError({ unprocessed: true }))
    for (const connection of this.#connections) connection.close()
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve)
    })
  }

  #dial(): void {
    const { addresses } = this.#options
    this.#isRound = true
    this.#untried = [...addresses.slice(this.#first), ...addresses.slice(0, this.#first)]
    this.#tryNext()
  }

  #tryNext(): void {
    this.#stagger?.cancel()
    this.#stagger = undefined
    const address = this.#untried.shift()
    if (address === undefined) return
    const { clock } = this.#options
    const connection = new Connection({ ...this.#options, address }, this.#watcher)
    this.#connections.add(connection)
    const limit = clock.after(dialTimeoutMs, () => connection.close(new Error('does not answer')))
    this.#attempts.set(connection, limit)
    if (this.#untried.length > 0) {
      this.#stagger = clock.after(staggerMs, () => this.#tryNext())
    }
  }

  readonly #watcher: ConnectionWatcher = {
    onOpen: () => this.#startEager(),
    onReady: (connection) => this.#win(connection),
    onRoom: (connection) => this.#start(connection),
    onDraining: (connection) => this.#lose(connection),
    onClosed: (connection, error) => {
      this.#connections.delete(connection)
      if (this.#attempts.has(connection)) this.#fail(connection, error)
      else this.#lose(connection)
      if (this.#connections.size > 0) return
      for (const tell of this.#whenEmpty.splice(0)) tell()
    },
  }

  /** Calls that may be sent twice do not wait for the peer's first words. */
  #startEager(): void {
    for (const connection of this.#attempts.keys()) {
      if (connection.state !== 'open' || !connection.takesCalls) continue
      this.#start(connection)
      return
    }
  }

  /** Calls that wait, in their order and as long as there is room. */
  #start(connection: Connection): void {
    const isTrusted = connection === this.#current
    for (const waiter of this.#waiters) {
      if (!isTrusted && !waiter.isEager) continue
      if (!connection.hasRoom) return
      this.#waiters.delete(waiter)
      waiter.start(connection)
    }
  }

  #win(connection: Connection): void {
    const limit = this.#attempts.get(connection)
    if (limit === undefined) return
    limit.cancel()
    this.#attempts.delete(connection)
    this.#endRound()
    this.#errors.clear()
    this.everConnected = true
    this.#current = connection
    this.#start(connection)
  }

  #fail(connection: Connection, error: unknown): void {
    this.#attempts.get(connection)?.cancel()
    this.#attempts.delete(connection)
    const { tls } = this.#options
    this.#errors.set(connection.address, dialError(connection.address, error, tls !== undefined))
    if (this.#untried.length > 0) {
      this.#tryNext()
      return
    }
    if (this.#attempts.size > 0) return
    this.#isRound = false
    this.#putOff()
    if (this.#waiters.size > 0) this.#dialWhenDue()
  }

  #dialWhenDue(): void {
    const { clock } = this.#options
    const delayMs = this.#notBefore - clock.now()
    if (delayMs <= 0) {
      this.#dial()
      return
    }
    if (this.#backoff !== undefined) return
    this.#backoff = clock.after(delayMs, () => {
      this.#backoff = undefined
      this.#dial()
    })
    // Nothing else may keep the process alive now, yet a call waits for this.
    this.#backoff.hold?.()
  }

  #lose(connection: Connection): void {
    if (this.#current !== connection) return
    this.#current = undefined
    if (connection.wasUsed) this.#failedRounds = 0
    else this.#putOff() // a server that takes no call is no better than none
    if (this.#waiters.size > 0) this.#dialWhenDue()
  }

  /** The round came to nothing. */
  #putOff(): void {
    const { clock, random } = this.#options
    this.#failedRounds++
    this.#notBefore = clock.now() + backoffMs(this.#failedRounds, random)
  }

  #endRound(): void {
    this.#isRound = false
    this.#untried = []
    this.#stagger?.cancel()
    this.#stagger = undefined
    for (const [connection, limit] of this.#attempts) {
      limit.cancel()
      connection.close()
    }
    this.#attempts.clear()
  }

  #cancelBackoff(): void {
    this.#backoff?.cancel()
    this.#backoff = undefined
  }
}

/** `unprocessed`: the call had not been sent. */
export function closingError(more: { unprocessed: boolean }): RpcError {
  return new RpcError(Status.canceled, 'grpc: the client connection is closing', more)
}
