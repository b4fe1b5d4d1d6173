// hooks.ts: one server for all tests of a file, started before the first, emptied before
// each, stopped after the last. How to say so to a test runner is for the entry of that runner.
import { startServer } from './library.js'
import type { RunningServer, StartOptions } from './surface.js'

export interface HookOptions extends StartOptions {
  /** Whether each test begins with an empty store. Default: yes. */
  resetBeforeEach?: boolean
}

export interface Hooks {
  beforeAll(callback: () => Promise<void>): unknown
  beforeEach(callback: () => Promise<void>): unknown
  afterAll(callback: () => Promise<void>): unknown
}

/** What it returns can be used inside tests and hooks, when the server is there. */
export function serverFor(hooks: Hooks, options: HookOptions): RunningServer {
  const { resetBeforeEach = true, ...startOptions } = options
  let started: RunningServer | undefined
  const server = (): RunningServer => {
    if (started !== undefined) return started
    throw new Error('the server is there only while tests run: use it inside a test or a hook')
  }
  hooks.beforeAll(async () => {
    started = await startServer(startOptions)
  })
  if (resetBeforeEach) hooks.beforeEach(async () => server().reset())
  hooks.afterAll(async () => {
    await started?.stop()
    started = undefined
  })
  return {
    get endpoint() {
      return server().endpoint
    },
    get hosts() {
      return server().hosts
    },
    get port() {
      return server().port
    },
    get isRunning() {
      return started?.isRunning ?? false
    },
    get ca() {
      return server().ca
    },
    get clock() {
      return server().clock
    },
    get faults() {
      return server().faults
    },
    env: () => server().env(),
    client: (clientOptions) => server().client(clientOptions),
    reset: () => server().reset(),
    stop: () => server().stop(),
    [Symbol.asyncDispose]: () => server().stop(),
  }
}
