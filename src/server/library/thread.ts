// thread.ts: the server in a thread of its own, for tests that block the event loop or put
// fake timers in the place of everything: here only messages are exchanged with it.
//
// What is asked for is a message to the thread, and the answer a message back. Where the answer is
// not a promise (faults, the time) this thread waits for it, so that a fault is in force when the
// next line of the test runs.
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { Clients, environment } from './client.js'
import { Ending } from './ending.js'
import type { Faults } from './faults.js'
import type { RunningServer, StartOptions } from './surface.js'

/** What the thread is asked for; `wake`: somebody sleeps until it is answered. */
export interface Request {
  id: number
  method: string
  args: readonly unknown[]
  wake?: Int32Array
}

export interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** A log line that comes unasked. */
export interface LogLine {
  line: string
}

/** Longer than anything that answers at once, short enough to end a test that hangs. */
const answerWithinMs = 10_000

export interface Started {
  endpoint: string
  ca: string | undefined
}

/** @throws whatever starting throws, as an Error of the same message */
export async function startInThread(options: StartOptions): Promise<RunningServer> {
  const { clock, log, ...rest } = options
  if (clock !== undefined) throw new TypeError('a clock cannot be given to another thread')
  const thread = new Thread((line) => log?.write(line))
  try {
    const level = log?.level
    const started = await thread.ask('start', { ...rest, thread: false }, level)
    return new Threaded(thread, started as Started, options)
  } catch (error) {
    await thread.end()
    throw error
  }
}

class Thread {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #pending = new Map<number, (answer: Answer) => void>()
  readonly #onLine: (line: string) => void
  #lastId = 0

  constructor(onLine: (line: string) => void) {
    const { port1, port2 } = new MessageChannel()
    const file = new URL('./worker.js', import.meta.url)
    this.#worker = new Worker(file, { workerData: port2, transferList: [port2] })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#port = port1
    this.#port.on('message', (message: Answer | LogLine) => this.#onMessage(message))
    this.#onLine = onLine
    this.#rest()
  }

  ask(method: string, ...args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#hold()
      this.#post({ method, args }, ({ result, error }) => {
        this.#rest()
        if (error === undefined) resolve(result)
        else reject(new Error(error))
      })
    })
  }

  /** Sleeps until the thread has answered. */
  askNow(method: string, ...args: readonly unknown[]): unknown {
    const wake = new Int32Array(new SharedArrayBuffer(4))
    let answered: Answer | undefined
    this.#post({ method, args, wake }, (answer) => {
      answered = answer
    })
    if (Atomics.wait(wake, 0, 0, answerWithinMs) === 'timed-out') {
      throw new Error(`the server's thread does not answer ${method}`)
    }
    for (let next = receiveMessageOnPort(this.#port); next; ) {
      this.#onMessage(next.message as Answer | LogLine)
      next = receiveMessageOnPort(this.#port)
    }
    if (answered?.error !== undefined) throw new TypeError(answered.error)
    return answered?.result
  }

  async end(): Promise<void> {
    this.#port.close()
    await this.#worker.terminate()
  }

  #post(request: Omit<Request, 'id'>, onAnswer: (answer: Answer) => void): void {
    const id = ++this.#lastId
    this.#pending.set(id, onAnswer)
    this.#port.postMessage({ ...request, id })
  }

  #onMessage(message: Answer | LogLine): void {
    if ('line' in message) {
      this.#onLine(message.line)
      return
    }
    const onAnswer = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    onAnswer?.(message)
  }

  #fail(error: Error): void {
    for (const [id, onAnswer] of [...this.#pending]) onAnswer({ id, error: error.message })
    this.#pending.clear()
  }

  /** While an answer is awaited the process must live for it; else not for the server's sake. */
  #hold(): void {
    this.#worker.ref()
    this.#port.ref()
  }

  #rest(): void {
    if (this.#pending.size > 0) return
    this.#worker.unref()
    this.#port.unref()
  }
}

class Threaded implements RunningServer {
  readonly endpoint: string
  readonly hosts: string
  readonly port: number
  readonly ca: string | undefined
  readonly faults: Faults
  readonly clock: RunningServer['clock']
  readonly #thread: Thread
  readonly #rootPassword: string | undefined
  readonly #clients = new Clients()
  readonly #ending = new Ending({ owner: this, clients: this.#clients, end: () => this.#stop() })
  readonly stop = this.#ending.stop
  readonly [Symbol.asyncDispose] = this.#ending.stop

  constructor(thread: Thread, { endpoint, ca }: Started, { auth }: StartOptions) {
    this.endpoint = endpoint
    this.hosts = endpoint
    this.port = Number(new URL(endpoint).port)
    this.ca = ca
    this.#thread = thread
    this.#rootPassword = auth?.rootPassword
    const fault =
      (name: keyof Faults) =>
      (...args: readonly unknown[]) =>
        void thread.askNow('fault', name, ...args)
    this.faults = {
      dropConnections: fault('dropConnections'),
      pause: fault('pause'),
      resume: fault('resume'),
      latency: fault('latency'),
      fail: fault('fail'),
      clear: fault('clear'),
    }
    this.clock = {
      now: () => Number(thread.askNow('now')),
      advance: async (duration) => void (await thread.ask('advance', duration)),
    }
  }

  get isRunning(): boolean {
    return !this.#ending.isBegun
  }

  env(): Record<string, string> {
    return environment(this.endpoint)
  }

  client: RunningServer['client'] = (options = {}) => {
    const { hosts, ca } = this
    return this.#clients.open({ hosts, ca, rootPassword: this.#rootPassword }, options)
  }

  async reset(): Promise<void> {
    await this.#thread.ask('reset')
  }

  async #stop(): Promise<void> {
    await this.#thread.ask('stop')
    await this.#thread.end()
  }
}
