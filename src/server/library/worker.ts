// worker.ts: the other side of thread.ts: one server in this thread, and answers
// to what is asked of it.
import { type MessagePort, workerData } from 'node:worker_threads'
import type { LogLevel } from '../../platform/log.js'
import type { Failure } from './faults.js'
import { startServer } from './library.js'
import type { RunningServer, StartOptions } from './surface.js'
import type { Answer, Request, Started } from './thread.js'

// The thread was started with nothing but this.
const port = workerData as MessagePort
let server: RunningServer | undefined

const methods: Readonly<Record<string, (...args: readonly unknown[]) => unknown>> = {
  start: (options, level) => start(options as StartOptions, level as LogLevel | undefined),
  reset: () => running().reset(),
  stop: () => running().stop(),
  now: () => running().clock.now(),
  advance: (duration) => running().clock.advance(duration as number | string),
  fault: (name, ...args) => fault(String(name), args),
}

port.on('message', (request: Request) => {
  void answer(request)
})

async function answer({ id, method, args, wake }: Request): Promise<void> {
  let given: Answer
  try {
    // What somebody sleeps for answers at once, and must not wait for a turn of the loop.
    const result = methods[method]?.(...args)
    given = { id, result: wake === undefined ? await result : result }
  } catch (error) {
    given = { id, error: (error as Error).message }
  }
  port.postMessage(given)
  if (wake === undefined) return
  Atomics.store(wake, 0, 1)
  Atomics.notify(wake, 0)
}

async function start(options: StartOptions, level: LogLevel | undefined): Promise<Started> {
  const write = (line: string): void => port.postMessage({ line })
  server = await startServer({ ...options, ...(level && { log: { level, write } }) })
  return { endpoint: server.endpoint, ca: server.ca }
}

function running(): RunningServer {
  if (server === undefined) throw new Error('the server of this thread has not started')
  return server
}

/** The arguments were typed where they came from. */
function fault(name: string, [method, value]: readonly unknown[]): void {
  const { faults } = running()
  if (name === 'latency') faults.latency(String(method), value as number | string)
  else if (name === 'fail') faults.fail(String(method), value as Failure | undefined)
  else if (name === 'pause') faults.pause()
  else if (name === 'resume') faults.resume()
  else if (name === 'dropConnections') faults.dropConnections()
  else faults.clear()
}
