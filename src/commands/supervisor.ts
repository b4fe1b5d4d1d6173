// supervisor.ts: tells systemd that clients are served, where it wants to be told (Type=notify);
// otherwise it takes a start for failed after a while, and ends the server. The message must come
// by a datagram of a Unix socket, which Node cannot send, so systemd's own tool sends it, in the
// name of its parent if it may, as root; else the unit needs NotifyAccess=all.
import type { Log } from '../platform/log.js'
import { failureText, startChild } from './child.js'
import type { Environment } from './context.js'

export async function tellSupervisor(env: Environment, log: Log): Promise<void> {
  if (!env.NOTIFY_SOCKET) return // empty: as good as absent, for Go's library, too
  const failure = failureText(await startChild(['systemd-notify', '--ready'], env).ending)
  if (failure === undefined) log.info('successfully notified init daemon')
  else log.warn('failed to notify systemd for readiness', { error: failure })
}
