// library-vitest.ts: tsctl/vitest. In a test file:
//
//     import { useServer } from 'tsctl/vitest'
//     const server = useServer()
//     test('...', async () => { const client = await server.client() ... })
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { type HookOptions, serverFor } from './library-hooks.js'
import type { RunningServer } from './library-surface.js'

export { type RunningServer, startServer } from './library.js'
export type { HookOptions } from './library-hooks.js'

/** A server for the tests of this file, or of the describe() that this is called in. */
export function useServer(options: HookOptions = {}): RunningServer {
  return serverFor({ beforeAll, beforeEach, afterAll }, options)
}
