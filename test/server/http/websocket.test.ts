// The JSON gateway over WebSockets: the same exchanges with a real etcd and with ours; what a
// client gets that breaks the rules; and a client of other people, that of Node itself.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import {
  describeWithEtcd,
  freePorts,
  type RealEtcd,
  startRealEtcd,
} from '../../support/real-etcd.js'
import { answerTo } from './raw-answer.js'
import { clientFrame, openWebSocket, type WebSocketClient } from './websocket-client.js'

let ours: Embedded
beforeAll(async () => {
  ours = await startEmbedded({ storage: 'memory' })
})
afterAll(async () => {
  await ours?.[Symbol.asyncDispose]()
})

const b64 = (text: string): string => Buffer.from(text).toString('base64')

/** What is of the server that was asked. */
const masked = (text: string | undefined): unknown =>
  text === undefined
    ? undefined
    : JSON.parse(text.replaceAll(/"(cluster_id|member_id|raft_term)":"\d+"/g, '"$1":"X"'))

const post = async (endpoint: string, path: string, body: object): Promise<unknown> =>
  (
    await fetch(`http://${endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
  ).json()

/** Messages one after the other, each with as many answers as it should bring. */
async function play(
  endpoint: string,
  path: string,
  steps: readonly (readonly [message: object | string, answers: number])[],
): Promise<unknown[]> {
  const client = await openWebSocket(endpoint, path)
  const heard: unknown[] = []
  for (const [message, answers] of steps) {
    client.send(typeof message === 'string' ? message : JSON.stringify(message))
    for (let at = 0; at < answers; at++) heard.push(masked(await client.next()))
  }
  client.socket.destroy()
  return heard
}

const put = (key: string, value: string) => ({ key: b64(key), value: b64(value) })

describeWithEtcd('the same messages get the same answers from etcd', () => {
  let etcd: RealEtcd
  let fresh: Embedded
  beforeAll(async () => {
    etcd = await startRealEtcd()
    fresh = await startEmbedded({ storage: 'memory' })
    for (const { endpoint } of [etcd, fresh]) {
      await post(endpoint, 'kv/put', put('a', '1'))
      await post(endpoint, 'kv/put', put('a', '2'))
      await post(endpoint, 'lease/grant', { TTL: '60', ID: '7' })
    }
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await fresh?.[Symbol.asyncDispose]()
  })

  const create = { create_request: { key: b64('a'), start_revision: '2' } }
  test.each([
    ['/v3/watch', [[create, 2]]],
    ['/v3beta/watch?method=GET', [[create, 2]]],
    [
      '/v3/watch',
      [
        [{ create_request: { key: b64('x') } }, 1],
        [{ create_request: { key: b64('y'), watch_id: '9' } }, 1],
        [{ cancel_request: { watch_id: '9' } }, 1],
      ],
    ],
    [
      '/v3/watch',
      [
        ['', 0],
        [`\n${JSON.stringify(create)}\n`, 2],
      ],
    ],
    [
      '/v3/lease/keepalive',
      [
        [{ ID: '7' }, 1],
        [{ ID: '8' }, 1],
        [{ ID: '7' }, 1],
      ],
    ],
    ['/v3/lease/keepalive', [['{"ID":"7"}{"ID":"8"}', 2]]],
    ['/v3/kv/range', [[{ key: b64('a') }, 1]]],
    ['/v3/kv/put', [[put('b', '1'), 1]]],
  ] as const)('%s %j', async (path, steps) => {
    expect(await play(fresh.endpoint, path, steps)).toEqual(await play(etcd.endpoint, path, steps))
  })

  test('events come as messages, while the connection asks for more', async () => {
    const heard = async (endpoint: string) => {
      const client = await openWebSocket(endpoint, '/v3/watch')
      client.send(JSON.stringify({ create_request: { key: b64('live') } }))
      const messages = [masked(await client.next())]
      await post(endpoint, 'kv/put', put('live', '1'))
      messages.push(masked(await client.next()))
      await post(endpoint, 'kv/deleterange', { key: b64('live') })
      messages.push(masked(await client.next()))
      client.socket.destroy()
      return messages
    }
    expect(await heard(fresh.endpoint)).toEqual(await heard(etcd.endpoint))
  })

  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='
  const asking = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  test.each([
    [
      'another version',
      `GET /v3/watch HTTP/1.1\r\n${asking}Sec-WebSocket-Version: 8\r\n${key}\r\n\r\n`,
    ],
    ['no key', `GET /v3/watch HTTP/1.1\r\n${asking}Sec-WebSocket-Version: 13\r\n\r\n`],
    [
      'another method',
      `POST /v3/watch HTTP/1.1\r\n${asking}Connection: close\r\nSec-WebSocket-Version: 13\r\n${key}\r\nContent-Length: 0\r\n\r\n`,
    ],
    [
      'a path that has nothing to say',
      `GET /none HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`,
    ],
    [
      'another protocol',
      `GET /none HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    ],
  ])('a handshake with %s', async (_what, bytes) => {
    // A connection that stays open ends when the client says that there will be no more.
    const [theirs, answer] = await Promise.all(
      [etcd, fresh].map(({ endpoint }) => answerTo(endpoint, bytes, { isHalfClosed: true })),
    )
    expect(answer).toEqual(theirs)
  })

  test.each([
    ['Bearer, token', 'Sec-WebSocket-Protocol: Bearer\r\n'],
    ['Bearer,token', 'Sec-WebSocket-Protocol: Bearer\r\n'],
    ['other', undefined],
  ])('the sub-protocol %s', async (offer, chosen) => {
    for (const { endpoint } of [etcd, fresh]) {
      const { head, socket } = await openWebSocket(endpoint, '/v3/watch', [
        `Sec-WebSocket-Protocol: ${offer}`,
      ])
      socket.destroy()
      expect(/Sec-WebSocket-Protocol: .*\r\n/i.exec(head)?.[0]).toBe(chosen)
    }
  })

  test.each([
    ['no mask', Buffer.from('810548656c6c6f', 'hex')],
    ['an unknown opcode', Buffer.from('838000000000', 'hex')],
    ['a continuation of nothing', clientFrame(0, Buffer.from('x'))],
    ['a long ping', clientFrame(9, Buffer.alloc(126))],
    ['a closing code of nobody', clientFrame(8, Buffer.from([0, 5]))],
  ])('a frame with %s is a breach of the protocol to both', async (_what, bytes) => {
    for (const { endpoint } of [etcd, fresh]) {
      const client = await openWebSocket(endpoint, '/v3/watch')
      client.write(bytes)
      expect(await client.closed()).toMatchObject({ code: 1002 })
    }
  })

  test('what is no JSON is refused with a message, and the end', async () => {
    for (const { endpoint } of [etcd, fresh]) {
      const client = await openWebSocket(endpoint, '/v3/watch')
      client.send('hello')
      expect(JSON.parse((await client.next()) ?? '')).toHaveProperty('error')
      expect(await client.next()).toBeUndefined()
    }
  })
})

test('a token opens it: as a sub-protocol, or as a cookie', async () => {
  await using closed = await startEmbedded({ storage: 'memory', config: { bcryptCost: 4 } })
  const { endpoint } = closed
  await post(endpoint, 'auth/user/add', { name: 'root', password: 'pw' })
  await post(endpoint, 'auth/role/add', { name: 'root' })
  await post(endpoint, 'auth/user/grant', { user: 'root', role: 'root' })
  await post(endpoint, 'auth/enable', {})
  const { token } = (await post(endpoint, 'auth/authenticate', {
    name: 'root',
    password: 'pw',
  })) as { token: string }
  const ask = async (...headers: string[]) => {
    const client = await openWebSocket(endpoint, '/v3/kv/range', headers)
    client.send(JSON.stringify({ key: b64('k') }))
    const answer = JSON.parse((await client.next()) ?? '')
    client.socket.destroy()
    return answer
  }
  const userIsEmpty = { code: 3, message: 'etcdserver: user name is empty' }
  expect(await ask()).toEqual(userIsEmpty)
  // A page cannot set this header, and etcd's proxy does not pass it on.
  expect(await ask(`Authorization: ${token}`)).toEqual(userIsEmpty)
  expect(await ask(`Sec-WebSocket-Protocol: Bearer, ${token}`)).toHaveProperty('header')
  expect(await ask(`Cookie: a=b; token=${token}`)).toHaveProperty('header')
  expect(await ask('Cookie: token=nonsense')).toMatchObject({ code: 16 })
})

describe('the end of a connection', () => {
  const watch = () => openWebSocket(ours.endpoint, '/v3/watch')
  const alive = async (client: WebSocketClient) => {
    client.send(JSON.stringify({ create_request: { key: b64('end') } }))
    expect(await client.next()).toContain('"created":true')
  }

  test('is said by the server after the only answer', async () => {
    const client = await openWebSocket(ours.endpoint, '/v3/kv/range')
    client.send(JSON.stringify({ key: b64('a') }))
    expect(await client.next()).toContain('"header"')
    expect(await client.closed()).toEqual({ code: 1000, reason: '' })
  })

  test.each([
    ['a code and a reason', Buffer.from('\u000f\u00a0why', 'latin1'), 4000],
    ['neither', Buffer.alloc(0), 1005],
  ])('with %s is answered', async (_what, payload, code) => {
    const client = await watch()
    await alive(client)
    client.write(clientFrame(8, payload))
    expect(await client.closed()).toEqual({ code, reason: '' })
  })

  test.each([
    ['a frame without a mask', Buffer.from('810548656c6c6f', 'hex'), 1002],
    ['a text that is not UTF-8', clientFrame(1, Buffer.from([0xff])), 1007],
    ['a message over the limit', Buffer.from('82ff0000000040000000', 'hex'), 1009],
  ])('follows %s', async (_what, bytes, code) => {
    const client = await watch()
    await alive(client)
    client.write(bytes)
    expect(await client.closed()).toMatchObject({ code })
  })

  test('ends the watch, whether it is said or not', async () => {
    const watchers = () => ours.server.service.store.watcherCount
    const whenGone = async () => {
      // Each request gives the server a turn; when it never comes, the test runs out of time.
      while (watchers() > 0) await post(ours.endpoint, 'kv/range', { key: b64('a') })
      return watchers()
    }
    for (const leave of [
      (client: WebSocketClient) => client.write(clientFrame(8, Buffer.alloc(0))),
      (client: WebSocketClient) => client.socket.destroy(),
      (client: WebSocketClient) => client.socket.end(),
    ]) {
      const client = await watch()
      await alive(client)
      expect(watchers()).toBe(1)
      leave(client)
      await once(client.socket, 'close')
      expect(await whenGone()).toBe(0)
    }
  })

  test('is said when the server stops', async () => {
    const server = await startEmbedded({ storage: 'memory' })
    const client = await openWebSocket(server.endpoint, '/v3/watch')
    await server.stop()
    expect(await client.closed()).toEqual({ code: 1001, reason: 'server stops' })
  })
})

describe('frames', () => {
  test('of a message in fragments, with a ping between them, and all in one packet', async () => {
    const client = await openWebSocket(ours.endpoint, '/v3/kv/put')
    const text = Buffer.from(JSON.stringify(put('fragments', 'v'.repeat(100_000))))
    client.write(
      Buffer.concat([
        clientFrame(1, text.subarray(0, 10), false),
        clientFrame(9, Buffer.from('there?')),
        clientFrame(0, text.subarray(10, 70_000), false),
        clientFrame(0, text.subarray(70_000)),
      ]),
    )
    expect(await client.next()).toContain('"header"')
    expect(client.pongs).toEqual(['there?'])
  })

  test('of any size come back whole', async () => {
    for (const size of [1, 125, 126, 200, 65_536, 1_000_000]) {
      const value = b64('v'.repeat(size))
      await post(ours.endpoint, 'kv/put', { key: b64('size'), value })
      const client = await openWebSocket(ours.endpoint, '/v3/kv/range')
      client.send(JSON.stringify({ key: b64('size') }))
      expect(JSON.parse((await client.next()) ?? '').kvs[0].value).toBe(value)
    }
  })

  test('wait for a client that does not read, and none is lost', async () => {
    const count = 60
    const client = await openWebSocket(ours.endpoint, '/v3/watch')
    client.send(JSON.stringify({ create_request: { key: b64('slow') } }))
    await client.next()
    client.socket.pause()
    const value = b64('v'.repeat(200_000))
    for (let at = 0; at < count; at++)
      await post(ours.endpoint, 'kv/put', { key: b64('slow'), value })
    client.socket.resume()
    const versions: string[] = []
    while (versions.length < count) {
      const { result } = JSON.parse((await client.next()) ?? '{}')
      versions.push(...result.events.map(({ kv }: { kv: { version: string } }) => kv.version))
    }
    client.socket.destroy()
    expect(versions).toEqual(Array.from({ length: count }, (_, at) => String(at + 1)))
  })

  test('that came with the handshake are not lost', async () => {
    const [host = '', port] = ours.endpoint.split(':')
    const socket = net.connect(Number(port), host)
    const head =
      'GET /v3/kv/range HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
    const question = clientFrame(1, Buffer.from(JSON.stringify({ key: b64('a') })))
    socket.write(Buffer.concat([Buffer.from(head), question]))
    let received = ''
    while (!received.includes('"header"')) received += String((await once(socket, 'data'))[0])
    socket.destroy()
  })
})

describe('other ports than the plain one', () => {
  const ask = async (endpoint: string, options = {}) => {
    const client = await openWebSocket(endpoint, '/v3/kv/range', [], options)
    client.send(JSON.stringify({ key: b64('k') }))
    expect(await client.next()).toContain('"header"')
    expect(await client.closed()).toEqual({ code: 1000, reason: '' })
  }
  /** An upgrade to something else is answered on all of them, too. */
  const declined = (endpoint: string) =>
    answerTo(
      endpoint,
      'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n',
    )
  const fixture = (name: string) => path.join(import.meta.dirname, '../../../fixtures/tls', name)
  const pair = { certFile: fixture('server.crt'), keyFile: fixture('server.key') }

  test('a port for HTTP alone', async () => {
    const [port] = await freePorts(1)
    const config = { listenClientHttpUrls: [`http://127.0.0.1:${port}`] }
    await using server = await startEmbedded({ storage: 'memory', config })
    await ask(`127.0.0.1:${port}`)
    expect(await declined(`127.0.0.1:${port}`)).toMatchObject({ status: '200 OK', body: 'ok\n' })
    expect(server.log.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([])
  })

  test('a port with TLS, for everything and for HTTP alone', async () => {
    const [port] = await freePorts(1)
    const listenClientHttpUrls = [`https://127.0.0.1:${port}`]
    for (const more of [{}, { listenClientHttpUrls }]) {
      const config = { ...pair, listenClientUrls: ['https://127.0.0.1:0'], ...more }
      await using server = await startEmbedded({ storage: 'memory', config })
      const own = server.endpoint.replace('https://', '')
      await ask('listenClientHttpUrls' in more ? `127.0.0.1:${port}` : own, { isTls: true })
    }
  })

  test('a port for metrics knows no WebSocket', async () => {
    const [port] = await freePorts(1)
    const config = { listenMetricsUrls: [`http://127.0.0.1:${port}`] }
    await using _server = await startEmbedded({ storage: 'memory', config })
    await expect(openWebSocket(`127.0.0.1:${port}`, '/v3/watch')).rejects.toThrow('404 Not Found')
    expect(await declined(`127.0.0.1:${port}`)).toMatchObject({ status: '200 OK', body: 'ok\n' })
  })
})

/** That of browsers, as undici has it; global without the flag from Node 22 on. */
test('a client of other people holds the same conversation', async () => {
  const script = `
    const socket = new WebSocket('ws://${ours.endpoint}/v3/lease/keepalive', ['Bearer', 'token'])
    const heard = [socket.protocol]
    socket.onopen = () => { heard[0] = socket.protocol; socket.send('{"ID":"999"}') }
    socket.onmessage = ({ data }) => {
      heard.push(Object.keys(JSON.parse(data).result).join())
      if (heard.length === 3) socket.close(3001, 'enough')
      else socket.send('{"ID":"998"}')
    }
    socket.onclose = ({ code, wasClean }) => console.log(JSON.stringify([...heard, code, wasClean]))
  `
  const flags = 'WebSocket' in globalThis ? [] : ['--experimental-websocket']
  const args = [...flags, '--no-warnings', '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  expect(JSON.parse(stdout)).toEqual(['Bearer', 'header,ID', 'header,ID', 3001, true])
})
