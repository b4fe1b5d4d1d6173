// jest.ts: tsctl/jest. In a test file:
//
//     const { useServer } = require('tsctl/jest')
//     const server = useServer()
//     test('...', async () => { const client = await server.client() ... })
//
// jest gives its hooks as globals. With its fake timers two must stay real, for Node's own streams
// and etcd3's transport need them:
//
//     jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
import { type HookOptions, type Hooks, serverFor } from './hooks.js'
import type { RunningServer } from './surface.js'

export type { HookOptions } from './hooks.js'
export { type RunningServer, startServer } from './library.js'

/** A server for the tests of this file, or of the describe() that this is called in. */
export function useServer(options: HookOptions = {}): RunningServer {
  const hooks: Hooks = {
    beforeAll: hook('beforeAll'),
    beforeEach: hook('beforeEach'),
    afterAll: hook('afterAll'),
  }
  return serverFor(hooks, options)
}

function hook(name: keyof Hooks): Hooks[keyof Hooks] {
  const found: unknown = Reflect.get(globalThis, name)
  if (typeof found !== 'function')
    throw new Error(`${name}() is not there: is this a test of jest?`)
  return (callback) => found(callback)
}
