// Plain HTTP on the client port, beside gRPC: what health checks ask, byte for byte.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connected } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'

let server: Embedded
beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory' })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const get = (path: string, init: RequestInit = {}) =>
  fetch(`http://${server.endpoint}${path}`, init)

test('health is a string in JSON', async () => {
  const answer = await get('/health')
  expect(answer.status).toBe(200)
  expect(await answer.text()).toBe('{"health":"true","reason":""}')
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
})

test('an alarm makes it ill, unless that alarm is left out', async () => {
  await using client = await connected(server.endpoint)
  const alarm = { memberID: '10276657743932975437', alarm: 1 } as const
  await client.maintenance.alarm({ action: 1, ...alarm })
  const ill = await get('/health')
  expect(ill.status).toBe(503)
  expect(await ill.text()).toBe('{"health":"false","reason":"ALARM NOSPACE"}\n')
  expect((await get('/health?exclude=NOSPACE')).status).toBe(200)
  await client.maintenance.alarm({ action: 2, ...alarm })
  expect((await get('/health')).status).toBe(200)
})

test('versions are those of a 3.7', async () => {
  expect(await (await get('/version')).text()).toBe(
    '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}',
  )
})

test('what is not there is not found, and health is not to be posted to', async () => {
  expect((await get('/nowhere')).status).toBe(404)
  const posted = await get('/health', { method: 'POST' })
  expect(posted.status).toBe(405)
  expect(posted.headers.get('allow')).toBe('GET')
  expect((await get('/health', { method: 'OPTIONS' })).status).toBe(200)
})
