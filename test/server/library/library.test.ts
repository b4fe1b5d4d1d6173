// The server as a library inside a program: what tests do with it.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Etcd3 } from 'etcd3'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PutRequest, RangeRequest, RangeResponse } from '../../../src/api/gen/rpc.js'
import { type RunningServer, startServer } from '../../../src/server/library/library.js'
import { unstopped } from '../../../src/server/library/unstopped.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'

let server: RunningServer
let client: Etcd3
beforeEach(async () => {
  server = await startServer()
  client = await server.client()
})
afterEach(async () => {
  await server?.stop()
})

describe('a server that is started', () => {
  test('is reached under everything that it hands out', async () => {
    expect(server.endpoint).toBe(`http://127.0.0.1:${server.port}`)
    expect(server.hosts).toBe(server.endpoint)
    expect(server.env()).toEqual({
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: server.endpoint,
      TSCTL_SERVER_URL: server.endpoint,
    })
    await client.put('a').value('1')
    const health = await fetch(`${server.endpoint}/health`)
    expect(await health.json()).toEqual({ health: 'true', reason: '' })
  })

  test('shares nothing with another', async () => {
    await using other = await startServer()
    expect(other.port).not.toBe(server.port)
    await client.put('a').value('1')
    expect(await (await other.client()).get('a')).toBeNull()
  })

  test('keeps a directory when it is told to', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'library-'))
    try {
      {
        await using first = await startServer({ storage: { dir } })
        await (await first.client()).put('kept').value('yes')
      }
      await using second = await startServer({ storage: { dir } })
      const again = await second.client()
      expect(await again.get('kept').string()).toBe('yes')
      await second.reset()
      expect(await again.get('kept').string()).toBeNull()
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  test('holds the limits that it was given', async () => {
    await using small = await startServer({ limits: { requestBytes: 1000, txnOps: 1 } })
    const its = await small.client()
    await expect(its.put('k').value('x'.repeat(2000))).rejects.toThrow('request is too large')
    const two = its
      .if('a', 'Version', '==', 0)
      .then(its.put('a').value('1'), its.put('b').value('2'))
    await expect(two.commit()).rejects.toThrow('too many operations')
  })

  test('stops once, and says so to whoever comes later', async () => {
    const { port } = server
    await Promise.all([server.stop(), server.stop()])
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()
    await expect(server.reset()).rejects.toThrow(`the one on port ${port} was stopped`)
  })

  test('asks for a login when it has a password', async () => {
    await using closed = await startServer({ auth: { rootPassword: 'secret' } })
    const root = await closed.client()
    await root.put('a').value('1')
    const nobody = await fetch(`${closed.endpoint}/v3/kv/range`, {
      method: 'POST',
      body: '{"key":"YQ=="}',
    })
    expect(await nobody.json()).toEqual({ code: 3, message: 'etcdserver: user name is empty' })
    await closed.reset()
    expect(await root.get('a').string()).toBeNull()
  })

  test('makes a certificate when it is told to use TLS', async () => {
    await using secure = await startServer({ tls: true })
    expect(secure.endpoint).toBe(`https://127.0.0.1:${secure.port}`)
    const its = await secure.client()
    await its.put('a').value('1')
    expect(await its.get('a').string()).toBe('1')
  })
})

describe('reset()', () => {
  test('gives an empty store at revision 1, without leases, alarms and faults', async () => {
    await client.put('a').value('1')
    const lease = client.lease(60)
    await lease.put('b').value('2')
    server.faults.fail('Put')
    await server.reset()
    const { header, count } = await client.kv.range({
      key: Buffer.from([0]),
      range_end: Buffer.from([0]),
    })
    expect([count, header.revision]).toEqual(['0', '1'])
    expect((await client.leaseClient.leaseLeases()).leases).toEqual([])
    expect((await client.put('a').value('new')).header.revision).toBe('2')
    await lease.revoke().catch(() => {})
  })

  test('ends watches, and later changes are not told to them', async () => {
    const watcher = await client.watch().key('a').create()
    const ended = once(watcher, 'end').catch((error: Error) => error)
    const puts: string[] = []
    watcher.on('put', (kv) => puts.push(kv.value.toString()))
    await server.reset()
    await ended
    await client.put('a').value('1')
    expect(puts).toEqual([])
  })

  test('comes after what was sent before it', async () => {
    const puts = Array.from({ length: 50 }, (_, i) => client.put(`k${i}`).value('v'))
    const sent = Promise.all(puts.map((put) => put.exec()))
    await client.get('a')
    await sent
    await server.reset()
    expect(await client.getAll().count()).toBe(0)
  })

  test('may come again and again, however much there was', async () => {
    const big = Array.from({ length: 100 }, (_, i) => client.put(`k${i}`).value('v'.repeat(10_000)))
    await Promise.all(big)
    for (let i = 0; i < 20; i++) await server.reset()
    const { header, kvs } = await client.getAll().exec()
    expect({ revision: header.revision, kvs }).toEqual({ revision: '1', kvs: [] })
  })
})

describe('clock', () => {
  test('put forward, leases run out at once and their keys are gone', async () => {
    const { ID } = await client.leaseClient.leaseGrant({ TTL: 3000 })
    const other = await client.leaseClient.leaseGrant({ TTL: 6000 })
    await client.put('short').value('v').lease(ID)
    await client.put('long').value('v').lease(other.ID)
    await server.clock.advance('2900s')
    expect(await client.get('short').string()).toBe('v')
    await server.clock.advance('101s')
    expect(await client.getAll().keys()).toEqual(['long'])
    const { TTL } = await client.leaseClient.leaseTimeToLive({ ID: other.ID })
    expect(Number(TTL)).toBeLessThan(3000)
    expect(Number(TTL)).toBeGreaterThan(2000)
  })

  test('put forward by hours, calls and watches under way live on', async () => {
    const watcher = await client.watch().key('a').create()
    await server.clock.advance('5h')
    const told = once(watcher, 'put')
    await client.put('a').value('1')
    await told
    await watcher.cancel()
  })

  test('goes with the machine otherwise', async () => {
    const before = server.clock.now()
    await server.clock.advance(1000)
    expect(server.clock.now() - before).toBeGreaterThanOrEqual(1000)
    await expect(server.clock.advance('soon')).rejects.toThrow("'soon' is no duration")
  })

  test('is not stopped by fake timers', async () => {
    vi.useFakeTimers()
    try {
      await using hidden = await startServer()
      const put = await fetch(`${hidden.endpoint}/v3/kv/put`, {
        method: 'POST',
        body: '{"key":"YQ=="}',
      })
      expect(put.status).toBe(200)
      // More than a socket takes at once: what waits must go on by itself.
      const channel = openPlainChannel(hidden.port)
      const [key, value] = [Buffer.from('large'), Buffer.alloc(1_000_000, 'v')]
      const request = PutRequest.encode(PutRequest.fromPartial({ key, value })).finish()
      await channel.unary('/etcdserverpb.KV/Put', request)
      const range = RangeRequest.encode(RangeRequest.fromPartial({ key })).finish()
      const answer = await channel.unary('/etcdserverpb.KV/Range', range)
      expect(RangeResponse.decode(answer).kvs[0]?.value).toHaveLength(value.length)
      await channel.close()
      await hidden.reset()
      await hidden.clock.advance('1h')
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('faults', () => {
  const put = () =>
    fetch(`${server.endpoint}/v3/kv/put`, { method: 'POST', body: '{"key":"YQ=="}' })

  test('fail the next calls of a method, with a code, so many times', async () => {
    server.faults.fail('KV/Put', { code: 'RESOURCE_EXHAUSTED', message: 'no room', times: 2 })
    const answers = [await put(), await put(), await put()]
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 200])
    expect(await answers[0]?.json()).toEqual({ code: 8, message: 'no room' })
    expect((await client.get('a').exec()).kvs).toHaveLength(1)
    expect(() => server.faults.fail('Put', { code: 'nonsense' })).toThrow(
      "'nonsense' is no gRPC status",
    )
  })

  test('slow a method down', async () => {
    server.faults.latency('Put', '80ms')
    const started = performance.now()
    await put()
    expect(performance.now() - started).toBeGreaterThanOrEqual(79)
    server.faults.latency('Put', 0)
    expect((await put()).status).toBe(200)
  })

  test('pause everything, until it is resumed', async () => {
    const watcher = await client.watch().key('a').create()
    const seen: string[] = []
    watcher.on('put', () => seen.push('event'))
    server.faults.pause()
    const paused = put().then((answer) => seen.push(`answer ${answer.status}`))
    // The health of a paused server can be asked for: something came after the put, and before it.
    await fetch(`${server.endpoint}/health`)
    expect(seen).toEqual([])
    const told = once(watcher, 'put')
    server.faults.resume()
    await Promise.all([paused, told])
    expect(seen.sort()).toEqual(['answer 200', 'event'])
    await watcher.cancel()
  })

  test('drop connections, and a client comes back', async () => {
    const watcher = await client.watch().key('a').create()
    const lost = once(watcher, 'disconnected')
    server.faults.dropConnections()
    await lost
    await once(watcher, 'connected')
    expect((await put()).status).toBe(200)
    await watcher.cancel()
  })
})

describe('a program that forgets stop()', () => {
  test('is told which test it was', async () => {
    const forgotten = await startServer()
    const lines = unstopped().filter((line) => line.includes(`port ${forgotten.port} `))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('is told which test it was')
    expect(lines[0]).toContain('library.test.ts')
    await forgotten.stop()
    expect(unstopped().some((line) => line.includes(`port ${forgotten.port} `))).toBe(false)
  })

  test('ends all the same, and says so when it ends', async () => {
    const library = path.join(import.meta.dirname, '../../../src/server/library/library.ts')
    const program = `
      import { startServer } from ${JSON.stringify(library)}
      const server = await startServer()
      await (await fetch(server.endpoint + '/health')).text()
      console.log('port', server.port)`
    const args = ['--import', 'tsx', '--input-type=module', '-e', program]
    const run = promisify(execFile)(process.execPath, args, { timeout: 60_000 })
    const { stdout, stderr } = await run
    const [, port] = /^port (\d+)$/m.exec(stdout) ?? []
    expect(stderr).toContain(`the tsctl server on port ${port} was not stopped; started at`)
  })
})
