// mutex.ts: a lock that one session at a time holds, in the key layout of Go's clients. It is held
// for as long as its key lives: until unlock(), or until the lease of the session is lost.
import type { RangeResponse, ResponseHeader } from '../api/gen/rpc.js'
import type { CallOptions } from './clients.js'
import type { Connection } from './connection.js'
import { placeKey, takePlace, untilFirst } from './lease-queue.js'
import type { Session } from './session.js'

/** The lease, and with it the lock, is gone. The text is Go's. */
export class SessionLost extends Error {
  override readonly name = 'SessionLost'
}

export interface Mutex {
  readonly key: Buffer
  /**
   * Resolves when the lock is held, with the header of the answer that proves it. Throws
   * SessionLost when the session ends first, a ContextError when the signal is aborted. The key
   * may stand even so: unlock() takes it back.
   */
  lock(signal: AbortSignal): Promise<ResponseHeader | undefined>
  unlock(options?: CallOptions): Promise<void>
}

export function newMutex(
  connection: Pick<Connection, 'kv' | 'watch'>,
  session: Session,
  name: Buffer,
): Mutex {
  const { kv } = connection
  const key = placeKey(name, session)
  return {
    key,
    async lock(signal) {
      const either = AbortSignal.any([signal, session.lost])
      try {
        const place = await takePlace(connection, { name, session, value: Buffer.alloc(0) }, either)
        if (place.isFirst) return place.header
        await untilFirst(connection, { name, revision: place.revision }, either)
        return await ownHeader(await kv.range({ key }, { signal: either }))
      } catch (error) {
        throw session.lost.aborted ? lost(error) : error
      }
    },
    async unlock(options) {
      await kv.deleteRange({ key }, options)
    },
  }
}

/** The wait may have been longer than the own lease. */
function ownHeader({ kvs, header }: RangeResponse): ResponseHeader | undefined {
  if (kvs.length === 0) throw lost()
  return header
}

const lost = (cause?: unknown): SessionLost =>
  new SessionLost('mutex: session is expired', { cause })
