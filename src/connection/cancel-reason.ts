// cancel-reason.ts: why the server ended a watch, as Go's client words it.
import type { WatchResponse } from '../api/gen/rpc.js'

/** For an answer that is `canceled`. */
export function cancelReason({ created, compact_revision, cancel_reason }: WatchResponse): string {
  if (compact_revision !== '0') return 'etcdserver: mvcc: required revision has been compacted'
  if (created || cancel_reason.startsWith('etcdserver: ')) return cancel_reason
  if (cancel_reason === '') return 'etcdserver: mvcc: required revision is a future revision'
  return `rpc error: code = FailedPrecondition desc = ${cancel_reason}`
}
