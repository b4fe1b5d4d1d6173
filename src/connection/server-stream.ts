// server-stream.ts: the messages of a call that has one request and a stream of answers. Opening it
// is a read and is retried; once a message has come the stream must last, for another one would
// begin anew.
import type { ClientStream } from '../grpc/channel.js'
import type { Calls } from './calls.js'
import type { CallOptions } from './clients.js'
import { withRetry } from './retry.js'

export interface ServerStreamCall {
  path: string
  request: Uint8Array
  endpointCount: number
}

export async function* serverMessages(
  calls: Calls,
  { path, request, endpointCount }: ServerStreamCall,
  options: CallOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { clock, random, switchAddress } = calls
  const { deadlineMs, signal } = options
  const deadline = deadlineMs === undefined ? undefined : clock.now() + deadlineMs
  let stream: ClientStream | undefined
  const open = async () => {
    stream?.cancel()
    const left = deadline === undefined ? {} : { deadlineMs: deadline - clock.now() }
    const opened = calls.stream(path, { signal, ...left })
    stream = opened
    opened.write(request).catch(() => {})
    opened.end()
    const messages = opened[Symbol.asyncIterator]()
    return { messages, first: await messages.next() }
  }
  try {
    const { messages, first } = await withRetry(
      open,
      { clock, random, endpointCount, switchAddress },
      {
        isRepeatable: true,
        deadline,
        signal: () => calls.signal(signal),
        repair: calls.renewToken,
      },
    )
    for (let next = first; !next.done; next = await messages.next()) yield next.value
  } catch (error) {
    throw calls.named(error, options)
  } finally {
    stream?.cancel()
  }
}
