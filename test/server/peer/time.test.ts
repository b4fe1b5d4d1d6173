// time.test.ts: what a transport does as time goes by, on a clock that is moved by hand: signs of
// life, silence, dialling again, peers that stand still.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { MessageType } from '../../../src/api/gen/raft.js'
import { framed, newMessageEncoder } from '../../../src/server/peer/message-stream.js'
import { memberHex } from '../../../src/storage/schema.js'
import { freePorts } from '../../support/free-ports.js'
import { newManualClock } from '../../support/manual-clock.js'
import { clusterId, type End, heard, raftMessage, startEnd, until } from './ends.js'

const a = 0x10bbd00daf2ae0e1n
const b = 0xe4b8b1d2c3a4f506n
const message = (index: number) => raftMessage({ from: a, to: b, index })

const opened: (() => void)[] = []
afterEach(() => {
  for (const close of opened.splice(0)) close()
})

/** A peer that is scripted: every request is noted, and answered by what `serve` does. */
async function startPeer(serve: http.RequestListener) {
  const requests: string[] = []
  const server = http.createServer((request, response) => {
    requests.push(request.url ?? '')
    heard()
    serve(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const dials = (kind: string) =>
    requests.filter((path) => path.includes(`/stream/${kind}/`)).length
  return { url, requests, dials }
}

/** Dials a stream of an end as member `b` does. */
async function dial(end: End, kind = 'message') {
  const request = http.get({
    host: '127.0.0.1',
    port: end.port,
    path: `/raft/stream/${kind}/${memberHex(b)}`,
    agent: false,
    headers: {
      'X-Server-Version': '3.4.23',
      'X-Min-Cluster-Version': '3.0.0',
      'X-Etcd-Cluster-ID': memberHex(clusterId),
      'X-Raft-To': memberHex(a),
    },
  })
  opened.push(() => request.destroy())
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  expect(response.statusCode).toBe(200)
  const state = { bytes: Buffer.alloc(0), isEnded: false, isBroken: false, response }
  const note = (change: () => void) => () => {
    change()
    heard()
  }
  request.on(
    'error',
    note(() => Object.assign(state, { isBroken: true })),
  )
  response.on(
    'error',
    note(() => Object.assign(state, { isBroken: true })),
  )
  response.on(
    'end',
    note(() => Object.assign(state, { isEnded: true })),
  )
  return Object.assign(state, {
    /** Collects what comes. */
    read(): typeof state {
      response.on('data', (bytes: Buffer) => {
        state.bytes = Buffer.concat([state.bytes, bytes])
        heard()
      })
      return state
    },
  })
}

/** Takes streams and says nothing on them. */
const silent: http.RequestListener = (_, response) => {
  response.writeHead(200)
  response.flushHeaders()
}

describe('a stream that a peer has dialled', () => {
  test.each([
    ['message', Buffer.from(newMessageEncoder().heartbeat)],
    ['msgapp', Buffer.from([0])],
  ])(
    'of kind %s shows life three times in five seconds, also between messages',
    async (kind, sign) => {
      const clock = newManualClock()
      await using end = await startEnd({ id: a, clock })
      end.transport.addPeer(b, ['http://127.0.0.1:1'])
      const stream = (await dial(end, kind)).read()
      clock.advance(5_000)
      await until(() => stream.bytes.length >= 3 * sign.length)
      expect(stream.bytes).toEqual(Buffer.concat([sign, sign, sign]))
      const append = raftMessage({ from: a, to: b, type: MessageType.MsgApp, index: 1 })
      end.transport.send([append])
      await until(() => stream.bytes.length > 3 * sign.length)
      clock.advance(1_667)
      await until(() => stream.bytes.subarray(-sign.length).equals(sign))
    },
  )

  test('is ended as a whole when the peer dials again, and the new one is used', async () => {
    await using end = await startEnd({ id: a })
    end.transport.addPeer(b, ['http://127.0.0.1:1'])
    const first = (await dial(end)).read()
    const second = (await dial(end)).read()
    await until(() => first.isEnded)
    end.transport.send([message(7)])
    await until(() => second.bytes.length > 0)
    expect(second.bytes).toEqual(Buffer.concat(framed(message(7))))
    expect([first.bytes.length, first.isBroken]).toEqual([0, false])
  })

  test('takes only so much for a peer that does not read, and ends after five seconds', async () => {
    const clock = newManualClock()
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, ['http://127.0.0.1:1'])
    const stream = await dial(end)
    // More than sockets hold, so that the stream is stuck; nothing of that is reported.
    const Data = Buffer.alloc(1024 * 1024)
    const entries = [{ Type: 0 as const, Term: 1, Index: 1, Data }]
    for (let i = 0; i < 64; i++) end.transport.send([{ ...message(i), entries }])
    await new Promise((resolve) => setImmediate(resolve))
    expect(end.unreachable).toEqual([])
    for (let i = 0; i < 4_200; i++) end.transport.send([message(i)])
    await until(() => end.unreachable.length > 0)
    clock.advance(5_000)
    await until(() => stream.isBroken || stream.response.destroyed || end.unreachable.length > 1)
    stream.read()
    await until(() => stream.isBroken)
    // The next dial begins anew.
    const next = (await dial(end)).read()
    end.transport.send([message(8)])
    await until(() => next.bytes.length > 0)
    expect(next.bytes).toEqual(Buffer.concat(framed(message(8))))
  })
})

describe('a stream that is dialled', () => {
  test('is given up after five seconds of silence, and dialled again', async () => {
    const clock = newManualClock()
    const peer = await startPeer(silent)
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, [peer.url])
    await dial(end)
    await until(() => end.transport.activeSince(b) !== undefined)
    clock.advance(4_999)
    expect(end.transport.activeSince(b)).toBe(0)
    clock.advance(1)
    await until(() => end.transport.activeSince(b) === undefined)
    await dialledAgain(clock, () => peer.dials('message') >= 2, 100)
  })

  test('is dialled every 100 ms while the peer does not know the member, and with all headers', async () => {
    const clock = newManualClock()
    let headers: http.IncomingHttpHeaders = {}
    const peer = await startPeer((request, response) => {
      headers = request.headers
      response.writeHead(404).end('error sender not found\n')
    })
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, [peer.url])
    // Both streams wait for their next attempt, and nothing else is due that soon.
    await until(() => clock.pending().filter((delayMs) => delayMs <= 100).length === 2)
    for (let count = 2; count < 6; count++) {
      await dialledAgain(clock, () => peer.dials('message') >= count, 100)
    }
    expect(headers).toMatchObject({
      'x-server-from': memberHex(a),
      'x-server-version': '3.4.23',
      'x-min-cluster-version': '3.0.0',
      'x-etcd-cluster-id': memberHex(clusterId),
      'x-raft-to': memberHex(b),
      'x-peerurls': end.url,
    })
  })

  test('ends for good when the peer says that the member was removed', async () => {
    const clock = newManualClock()
    const peer = await startPeer((_, response) => {
      response.writeHead(410).end('removed member\n')
    })
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, [peer.url])
    await until(() => end.removedCount === 1 && peer.requests.length === 2)
    clock.advance(2_000)
    expect(peer.requests.filter((path) => path.includes('stream'))).toHaveLength(2)
  })

  test('is kept as long as something is heard in time', async () => {
    const clock = newManualClock()
    const streams: http.ServerResponse[] = []
    const peer = await startPeer((request, response) => {
      silent(request, response)
      if (request.url?.includes('/message/')) streams.push(response)
    })
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, [peer.url])
    await dial(end)
    await until(() => end.transport.activeSince(b) !== undefined)
    for (let index = 1; index < 4; index++) {
      clock.advance(4_000)
      const said = framed(raftMessage({ from: b, to: a, index }))
      for (const stream of streams) stream.write(Buffer.concat(said))
      await end.message((message) => message.index === index)
    }
    expect(end.transport.activeSince(b)).toBe(0)
    expect(peer.dials('message')).toBe(1)
  })

  test('brings what is meant for this member, and nothing else', async () => {
    const peer = await startPeer((request, response) => {
      response.writeHead(200)
      if (!request.url?.includes('/message/')) return
      const toOther = raftMessage({ from: b, to: 77n, index: 1 })
      const toUs = raftMessage({ from: b, to: a, index: 2 })
      response.write(Buffer.concat([...framed(toOther), ...framed(toUs)]))
    })
    await using end = await startEnd({ id: a })
    end.transport.addPeer(b, [peer.url])
    await end.message(({ index }) => index === 2)
    expect(end.received).toHaveLength(1)
  })

  test('is broken off when it carries nonsense, and dialled again', async () => {
    const clock = newManualClock()
    const peer = await startPeer((_, response) => {
      response.writeHead(200)
      response.write(Buffer.alloc(64, 0xff))
    })
    await using end = await startEnd({ id: a, clock })
    end.transport.addPeer(b, [peer.url])
    await dialledAgain(clock, () => peer.dials('message') >= 2 && peer.dials('msgapp') >= 2, 100)
    expect(end.received).toEqual([])
  })
})

test('a peer that was not reached yet is no warning, one that refuses is', async () => {
  const clock = newManualClock()
  const told: string[] = []
  const note = (level: string) => (msg: string) => {
    if (msg.startsWith('peer stream is down')) told.push(level)
    heard()
  }
  const log = { debug: heard, info: note('info'), warn: note('warn'), error: note('error') }
  await using end = await startEnd({ id: a, clock, parts: { log } })
  const [port] = await freePorts(1)
  const urls = [`http://127.0.0.1:${port}`]
  end.transport.addPeer(b, urls)
  await until(() => told.length === 2)
  const peer = await startPeer((_, response) => response.writeHead(500).end())
  end.transport.updatePeer(b, [peer.url])
  clock.advance(100)
  await until(() => told.length === 4)
  expect(told).toEqual(['info', 'info', 'warn', 'warn'])
})

test('a peer is probed every four seconds, over a kept and over a new connection', async () => {
  const clock = newManualClock()
  const peer = await startPeer((request, response) => {
    if (request.url === '/raft/probing') response.end('{"OK":true,"Now":"2026-01-01T00:00:00Z"}\n')
    else silent(request, response)
  })
  await using end = await startEnd({ id: a, clock })
  end.transport.addPeer(b, [peer.url])
  clock.advance(4_000)
  await until(() => peer.requests.filter((path) => path === '/raft/probing').length === 2)
})

describe('messages that go by requests', () => {
  test('wait for a place, up to a limit, and then are dropped', async () => {
    const waiting: http.ServerResponse[] = []
    const peer = await startPeer((_, response) => {
      waiting.push(response)
    })
    await using end = await startEnd({ id: a })
    end.transport.addRemote(b, [peer.url])
    for (let i = 0; i < 4 + 64; i++) end.transport.send([message(i)])
    await until(() => waiting.length === 4)
    expect(end.unreachable).toEqual([])
    end.transport.send([message(100)])
    await until(() => end.unreachable.length === 1)
    for (let done = 0; done < 4 + 64; done++) {
      await until(() => waiting.length > done)
      waiting[done]?.writeHead(204).end()
    }
    expect(end.unreachable).toEqual([b])
    expect(peer.requests).toHaveLength(4 + 64)
  })

  test('do not wait for a peer that stands still', async () => {
    const clock = newManualClock()
    const peer = await startPeer(() => {})
    await using end = await startEnd({ id: a, clock })
    end.transport.addRemote(b, [peer.url])
    end.transport.send([message(1)])
    await until(() => peer.requests.length === 1)
    clock.advance(10_000)
    await until(() => end.unreachable.length === 1)
  })
})

/** Moves the clock step by step until the peer was dialled. */
async function dialledAgain(
  clock: ReturnType<typeof newManualClock>,
  isDialled: () => boolean,
  stepMs: number,
): Promise<void> {
  while (!isDialled()) {
    clock.advance(stepMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
