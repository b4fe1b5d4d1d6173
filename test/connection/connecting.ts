// connecting.ts: connections for tests, with the defaults of the flags but for the time that a busy
// machine may take to log in.
import { type Connection, type ConnectOptions, connect } from '../../src/connection/connect.js'
import { systemClock } from '../../src/platform/clock.js'
import { systemRandom } from '../../src/platform/random.js'
import { type ManualClock, newManualClock } from '../support/manual-clock.js'

export const defaults: Omit<ConnectOptions, 'endpoints'> = {
  dialTimeoutMs: 60_000,
  keepaliveTimeMs: 2000,
  keepaliveTimeoutMs: 6000,
  maxSendBytes: 0,
  maxReceiveBytes: 0,
  tls: { insecureSkipVerify: false, insecureTransport: true },
}

export type Disposable<T> = T & AsyncDisposable

/** A connection that is closed at the end of its block. */
export async function connected(
  endpoints: string | readonly string[],
  options: Partial<ConnectOptions> = {},
): Promise<Disposable<Connection>> {
  const connection = await connect(
    { ...defaults, endpoints: typeof endpoints === 'string' ? [endpoints] : endpoints, ...options },
    { clock: systemClock, random: systemRandom },
  )
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.close() })
}

/** A connection on a clock that the test moves. */
export async function onManualClock(
  endpoint: string,
  options: Partial<ConnectOptions> = {},
): Promise<{ connection: Disposable<Connection>; clock: ManualClock }> {
  const clock = newManualClock()
  const connection = await connect(
    { ...defaults, endpoints: [endpoint], ...options },
    { clock, random: systemRandom },
  )
  const closing = { [Symbol.asyncDispose]: () => connection.close() }
  return { connection: Object.assign(connection, closing), clock }
}

/** No other timer of a connection is as short as the pause after all addresses have failed once. */
const pauseMaxMs = 200

/** Resolves when nobody could be reached, so that the reason is known. */
export async function untilUnreachable(clock: ManualClock): Promise<void> {
  const isPausing = () => clock.pending().some((ms) => ms < pauseMaxMs)
  while (!isPausing()) await new Promise(setImmediate)
}

/** The error that the work fails with. */
export async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
