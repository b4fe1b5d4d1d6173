// vitest.ts: tsctl/vitest. In a test file:
//
//     import { useServer } from 'tsctl/vitest'
//     const server = useServer()
//     test('...', async () => { const client = await server.client() ... })
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest'
import { type HookOptions, serverFor } from './hooks.js'
import { startServer as start } from './library.js'
import type { RunningServer, StartOptions } from './surface.js'

export type { HookOptions } from './hooks.js'
export type { RunningServer, StartOptions } from './library.js'

/** A server for the tests of this file, or of the describe() that this is called in. */
export function useServer(options: HookOptions = {}): RunningServer {
  return serverFor({ beforeAll, beforeEach, afterAll }, options)
}

/**
 * A server for one test, which has to stop it. vitest ends its workers without a last word, so a
 * server that was forgotten is named when its test is over.
 */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const { currentTestName } = expect.getState()
  let started: RunningServer | undefined
  if (currentTestName !== undefined) {
    onTestFinished(() => {
      if (!started?.isRunning) return
      const what = `the tsctl server on port ${started.port} was not stopped`
      process.emitWarning(`${what}; started by the test "${currentTestName}"`)
    })
  }
  started = await start(options)
  return started
}
