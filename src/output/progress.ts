// progress.ts: the line that announces a watch answer which only tells how far the server is.
// It stands on standard output in every format, before what the format makes of the answer.

import type { WatchResponse } from '../api/gen/rpc.js'

/** The line with its line feed, or nothing when the answer is no progress notification. */
export function progressLine(response: WatchResponse): string {
  const revision = response.header?.revision ?? '0'
  const isProgress =
    response.events.length === 0 &&
    !response.canceled &&
    !response.created &&
    response.compact_revision === '0' &&
    revision !== '0'
  return isProgress ? `progress notify: ${revision}\n` : ''
}
