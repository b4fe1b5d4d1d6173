// node-test.ts: tsctl/node-test, for the test runner of Node. In a test file:
//
//     import { test } from 'node:test'
//     import { useServer } from 'tsctl/node-test'
//     const server = useServer()
//     test('...', async () => { const client = await server.client() ... })
import { after, before, beforeEach } from 'node:test'
import { type HookOptions, serverFor } from './hooks.js'
import type { RunningServer } from './surface.js'

export type { HookOptions } from './hooks.js'
export { type RunningServer, startServer } from './library.js'

/** A server for the tests of this file, or of the describe() that this is called in. */
export function useServer(options: HookOptions = {}): RunningServer {
  return serverFor({ beforeAll: before, beforeEach, afterAll: after }, options)
}
