// The answers of Downgrade: what is checked, and that nothing is enabled.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../../../src/connection/connect.js'
import { connected, type Disposable, failure } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'

let server: Embedded
let client: Disposable<Connection>
beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory' })
  client = await connected(server.endpoint)
})
afterAll(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

const [validate, enable, cancel] = [0, 1, 2] as const

test.each([
  [validate, '3.6'],
  [validate, '3.6.4'],
  [validate, '3.6.0-rc.1+dirty'],
  [validate, '03.06'],
  [cancel, ''],
] as const)(
  'action %d to %s succeeds, and tells the version of the cluster',
  async (action, version) => {
    const answer = await client.maintenance.downgrade({ action, version })
    expect(answer.version).toBe('3.7')
    expect(answer.header?.revision).toBe('1')
  },
)

test.each([
  [validate, '3', 'etcdserver: wrong downgrade target version format'],
  [validate, 'x.y', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.6-rc.1', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.6.0-rc_1', 'etcdserver: wrong downgrade target version format'],
  [validate, '3.5', 'etcdserver: invalid downgrade target version'],
  [validate, '3.7', 'etcdserver: invalid downgrade target version'],
  [enable, '4.6', 'etcdserver: invalid downgrade target version'],
] as const)('action %d to %s is refused', async (action, version, message) => {
  const error = await failure(client.maintenance.downgrade({ action, version }))
  expect(error).toMatchObject({ message })
})

test('to enable one is refused, and the status shows none', async () => {
  const error = await failure(client.maintenance.downgrade({ action: enable, version: '3.6' }))
  expect(String(error)).toContain('need not be enabled')
  const { downgradeInfo } = await client.maintenance.status()
  expect(downgradeInfo?.enabled ?? false).toBe(false)
})
