// session.ts: a lease that is kept alive while somebody works under it. Keys that carry the lease
// go when the session is lost, so what they stand for (a lock, leadership) passes on by itself.
import type { Connection } from './connection.js'

export interface Session {
  /** Decimal. */
  readonly leaseId: string
  /** Aborted when the lease is lost. Whoever acts under it must stop then. */
  readonly lost: AbortSignal
  /** No more renewals. The lease stays until its TTL is over, as with Go's clients. */
  close(): Promise<void>
}

/** What Go's clients take where no TTL makes sense. */
export const sessionTtlSecondsDefault = 60

export async function openSession(
  { lease, keepAlive }: Pick<Connection, 'lease' | 'keepAlive'>,
  ttlSeconds: number,
): Promise<Session> {
  const { ID: leaseId } = await lease.leaseGrant({ TTL: String(ttlSeconds) })
  const lost = new AbortController()
  const closed = new AbortController()
  const keep = async (): Promise<void> => {
    try {
      for await (const _renewal of keepAlive(leaseId, { signal: closed.signal })) {
        // Every answer is as good as the other.
      }
    } catch {
      // Why does not matter: a lease that is not renewed is as good as lost.
    }
    if (!closed.signal.aborted) lost.abort()
  }
  const kept = keep()
  return {
    leaseId,
    lost: lost.signal,
    async close() {
      closed.abort()
      await kept
    },
  }
}
