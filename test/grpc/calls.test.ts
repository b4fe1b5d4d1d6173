// Both of our own ends against each other: the kinds of calls, how they end, what limits them.
import { describe, expect, test } from 'vitest'
import { frames } from '../../src/grpc/frame.js'
import type { ServerCall, ServerStream } from '../../src/grpc/server.js'
import { RpcError, Status } from '../../src/grpc/status.js'
import { systemClock } from '../../src/platform/clock.js'
import { chat, collect, deadPort, echo, failure, gate, open, serve } from './ends.js'
import { ManualClock } from './manual-clock.js'

const hello = Buffer.from('hello')

describe('unary', () => {
  test('bytes go in and come out, empty and large ones too', async () => {
    const { address } = await serve({ '/t.S/Echo': echo }, { receiveMaxBytes: 64 * 1024 * 1024 })
    const channel = open(address)
    for (const size of [0, 1, 16_383, 16_384, 1_000_000, 20_000_000]) {
      const request = Buffer.alloc(size, size % 251)
      const answer = await channel.unary('/t.S/Echo', request)
      expect(answer.equals(request), `${size} bytes`).toBe(true)
    }
  })

  test('many at once each get their own answer', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const channel = open(address)
    const calls = Array.from({ length: 1000 }, (_, i) =>
      channel.unary('/t.S/Echo', Buffer.from(`n${i}`)),
    )
    const answers = await Promise.all(calls)
    expect(answers.map(String)).toEqual(calls.map((_, i) => `n${i}`))
  })

  test('metadata reaches the handler, and so does who calls', async () => {
    let seen: ServerCall | undefined
    const handle = (request: Buffer, call: ServerCall) => {
      seen = call
      return request
    }
    const { address } = await serve({ '/t.S/M': { kind: 'unary', handle } })
    const metadata = { token: 'secret.1', hasleader: 'true' }
    await open(address, { userAgent: 'agent/1' }).unary('/t.S/M', hello, { metadata })
    expect(seen?.metadata).toEqual({ ...metadata, 'user-agent': 'agent/1' })
    expect(seen?.path).toBe('/t.S/M')
    expect(seen?.peer.address).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  test('metadata that HTTP does not allow fails its call, and no other', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const channel = open(address)
    for (const metadata of [{ token: 'two\nlines' }, { 'not a name': 'x' }, { token: 'ł' }]) {
      const error = await failure(channel.unary('/t.S/Echo', hello, { metadata }))
      const details = 'the request cannot be sent'
      expect(error).toMatchObject({ code: 13, details, unprocessed: true })
      expect(error.cause).toBeInstanceOf(TypeError)
      const fine = { metadata: { 'x-name': 'y' } }
      expect(await channel.unary('/t.S/Echo', hello, fine)).toEqual(hello)
    }
  })

  test('what a handler throws is the status: an RpcError, anything with a status, or Unknown', async () => {
    const errors = [
      new RpcError(Status.notFound, 'größer als 100 %\n'),
      Object.assign(new Error('etcdserver: mvcc: required revision has been compacted'), {
        status: 11,
      }),
      new Error('a bug'),
      Object.assign(new Error('no such status'), { status: 99 }),
      'just text',
    ]
    const handle = (request: Buffer) => {
      throw errors[Number(request.toString())]
    }
    const { address } = await serve({ '/t.S/Fail': { kind: 'unary', handle } })
    const channel = open(address)
    const seen: [number, string][] = []
    for (const i of errors.keys()) {
      const { code, details } = await failure(channel.unary('/t.S/Fail', Buffer.from(`${i}`)))
      seen.push([code, details])
    }
    expect(seen).toEqual([
      [5, 'größer als 100 %\n'],
      [11, 'etcdserver: mvcc: required revision has been compacted'],
      [2, 'a bug'],
      [2, 'no such status'],
      [2, 'just text'],
    ])
  })

  test('an unknown service, an unknown method and a path that is none are Unimplemented', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const channel = open(address)
    const cases = {
      '/t.S/Nope': 'unknown method Nope for service t.S',
      '/t.T/Echo': 'unknown service t.T',
      '/oops': 'malformed method name: "/oops"',
    }
    for (const [path, details] of Object.entries(cases)) {
      expect(await failure(channel.unary(path, hello))).toMatchObject({ code: 12, details })
    }
  })

  test('a request over the receive limit is refused by the server, with the figures', async () => {
    const { address } = await serve({ '/t.S/Echo': echo }, { receiveMaxBytes: 100_000 })
    const channel = open(address)
    const details = 'grpc: received message larger than max (5000000 vs. 100000)'
    const refused = failure(channel.unary('/t.S/Echo', Buffer.alloc(5_000_000)))
    expect(await refused).toMatchObject({ code: 8, details, unprocessed: false })
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello) // the connection lives on
  })

  test('an answer over the receive limit is refused by the client', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const channel = open(address, { receiveMaxBytes: 1000 })
    const details = 'grpc: received message larger than max (1001 vs. 1000)'
    expect(await failure(channel.unary('/t.S/Echo', Buffer.alloc(1001)))).toMatchObject({
      code: 8,
      details,
    })
    expect((await channel.unary('/t.S/Echo', Buffer.alloc(1000))).length).toBe(1000)
  })

  test('a request over the send limit never leaves', async () => {
    let count = 0
    const handle = (request: Buffer) => {
      count++
      return request
    }
    const { address } = await serve({ '/t.S/Count': { kind: 'unary', handle } })
    const channel = open(address, { sendMaxBytes: 10 })
    const details = 'trying to send message larger than max (11 vs. 10)'
    expect(await failure(channel.unary('/t.S/Count', Buffer.alloc(11)))).toMatchObject({
      code: 8,
      details,
      unprocessed: true,
    })
    await channel.unary('/t.S/Count', Buffer.alloc(10))
    expect(count).toBe(1)
  })
})

describe('streams', () => {
  test('both sides talk in turn, and the half-close ends the talk', async () => {
    const { address } = await serve({ '/t.S/Chat': chat })
    const stream = open(address).stream('/t.S/Chat')
    const answers = stream[Symbol.asyncIterator]()
    for (const text of ['one', 'two', 'three']) {
      await stream.write(Buffer.from(text))
      expect(String((await answers.next()).value)).toBe(text)
    }
    stream.end()
    expect(await answers.next()).toEqual({ value: undefined, done: true })
  })

  test('many answers to one request, in order', async () => {
    const handle = async (stream: ServerStream) => {
      for await (const message of stream) {
        for (let i = 0; i < Number(message.toString()); i++) await stream.write(Buffer.from(`${i}`))
      }
    }
    const { address } = await serve({ '/t.S/Count': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Count')
    await stream.write(Buffer.from('20000'))
    stream.end()
    expect(await collect(stream)).toEqual(Array.from({ length: 20_000 }, (_, i) => `${i}`))
  })

  test('several answers in one write', async () => {
    const handle = async (stream: ServerStream) => {
      await stream.write(Buffer.from('a'), Buffer.alloc(0), Buffer.from('ccc'))
      await stream.write(Buffer.from('d'))
    }
    const { address } = await serve({ '/t.S/Several': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Several')
    stream.end()
    expect(await collect(stream)).toEqual(['a', '', 'ccc', 'd'])
  })

  test('many requests, one answer', async () => {
    const handle = async (stream: ServerStream) => {
      let bytes = 0
      for await (const message of stream) bytes += message.length
      await stream.write(Buffer.from(`${bytes}`))
    }
    const { address } = await serve({ '/t.S/Sum': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Sum')
    for (let i = 0; i < 200; i++) await stream.write(Buffer.alloc(50_000))
    stream.end()
    expect(await collect(stream)).toEqual(['10000000'])
  })

  test('an error after some messages comes after them', async () => {
    const handle = async (stream: ServerStream) => {
      await stream.write(Buffer.from('a'))
      await stream.write(Buffer.from('b'))
      throw new RpcError(Status.outOfRange, 'enough')
    }
    const { address } = await serve({ '/t.S/Some': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Some')
    const seen: string[] = []
    const end = await failure(
      (async () => {
        for await (const message of stream) seen.push(message.toString())
      })(),
    )
    expect(seen).toEqual(['a', 'b'])
    expect(end).toMatchObject({ code: 11, details: 'enough' })
    await expect(stream.write(hello)).rejects.toBe(end)
  })

  test('a handler that returns at once ends the stream although the client goes on', async () => {
    const { address } = await serve({ '/t.S/Bye': { kind: 'stream', handle: async () => {} } })
    const stream = open(address).stream('/t.S/Bye')
    expect(await collect(stream)).toEqual([])
    await expect(stream.write(hello)).rejects.toThrow('the server has ended the call')
  })

  test('breaking off the loop cancels the call at the server', async () => {
    const aborted = gate<unknown>()
    const handle = async (stream: ServerStream) => {
      stream.signal.addEventListener('abort', () => aborted.open(stream.signal.reason))
      for (;;) await stream.write(Buffer.alloc(1000))
    }
    const { address } = await serve({ '/t.S/Endless': { kind: 'stream', handle } })
    let count = 0
    for await (const _ of open(address).stream('/t.S/Endless')) {
      count++
      if (count === 10) break
    }
    expect(await aborted.opened).toMatchObject({ code: 1 })
  })

  test('a handler that throws before its first await fails the call, not the process', async () => {
    const handle = (): Promise<void> => {
      throw new RpcError(Status.permissionDenied, 'no')
    }
    const { address } = await serve({ '/t.S/No': { kind: 'stream', handle } })
    expect(await failure(collect(open(address).stream('/t.S/No')))).toMatchObject({ code: 7 })
  })
})

describe('back-pressure', () => {
  test('a client that does not read stops the server, and loses nothing', async () => {
    const message = Buffer.alloc(64 * 1024)
    const total = 1000 // 64 MB, far more than the windows and queues hold
    let written = 0
    const stalled = gate()
    const handle = async (stream: ServerStream) => {
      for (; written < total; written++) {
        const room = stream.write(message)
        const first = await Promise.race([room, new Promise((r) => setImmediate(r, 'later'))])
        if (first === 'later' && written > 50) stalled.open()
        await room
      }
    }
    const { address } = await serve({ '/t.S/Flood': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Flood')
    const answers = stream[Symbol.asyncIterator]()
    await answers.next()
    await stalled.opened
    // A second call on the same connection still gets through, so it is not the connection.
    expect(written * message.length).toBeLessThan(16 * 1024 * 1024)
    let count = 1
    while (!(await answers.next()).done) count++
    expect(count).toBe(total)
  })

  test('nor does one for which messages are framed in bytes that are used again', async () => {
    const total = 1000 // of 64 KiB each
    const message = Buffer.alloc(64 * 1024)
    let written = 0
    const stalled = gate()
    const handle = async (stream: ServerStream) => {
      for (; written < total; written++) {
        message.fill(written)
        const bytes = frames([message, Buffer.from(`${written}`)])
        const room = stream.writeFramed?.({ bytes, count: 2 })
        bytes.fill(255)
        if (room === undefined) continue
        const first = await Promise.race([room, new Promise((r) => setImmediate(r, 'later'))])
        if (first === 'later' && written > 50) stalled.open()
        await room
      }
      expect(stream.writeFramed?.({ bytes: frames([hello]), count: 1 })).toBeUndefined()
    }
    const { address } = await serve({ '/t.S/Flood': { kind: 'stream', handle } })
    const answers = open(address).stream('/t.S/Flood')[Symbol.asyncIterator]()
    const first = await answers.next()
    await stalled.opened
    expect(written * message.length).toBeLessThan(16 * 1024 * 1024)
    const faults: number[] = []
    let { value } = first
    for (let number = 0; number < total; number++) {
      if (!value?.equals(Buffer.alloc(64 * 1024, number))) faults.push(number)
      if (String((await answers.next()).value) !== `${number}`) faults.push(number)
      value = (await answers.next()).value
    }
    expect(faults).toEqual([])
    expect([value, (await answers.next()).done]).toEqual([hello, true])
  })

  test('a stalled stream does not hold up other calls of the connection', async () => {
    const message = Buffer.alloc(64 * 1024)
    const handle = async (stream: ServerStream) => {
      for (let i = 0; i < 1000; i++) await stream.write(message)
    }
    const { address } = await serve({
      '/t.S/Flood': { kind: 'stream', handle },
      '/t.S/Echo': echo,
    })
    const channel = open(address)
    const floods = Array.from({ length: 6 }, () => channel.stream('/t.S/Flood'))
    for (const flood of floods) await flood[Symbol.asyncIterator]().next()
    for (let i = 0; i < 50; i++) expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
  })

  test('a server that does not read stops the client', async () => {
    const go = gate()
    let received = 0
    const handle = async (stream: ServerStream) => {
      await go.opened
      for await (const message of stream) received += message.length
    }
    const { address } = await serve({ '/t.S/Sink': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Sink')
    const message = Buffer.alloc(64 * 1024)
    let sent = 0
    let blocked: Promise<void> | undefined
    while (blocked === undefined) {
      const room = stream.write(message)
      sent++
      let isDone = false
      room.then(() => {
        isDone = true
      })
      for (let i = 0; i < 200 && !isDone; i++) await new Promise((r) => setImmediate(r))
      if (!isDone) blocked = room
      if (sent > 200) throw new Error('12 MB went nowhere')
    }
    go.open()
    await blocked
    stream.end()
    expect(await collect(stream)).toEqual([])
    expect(received).toBe(sent * message.length)
  })
})

describe('deadlines and cancellation', () => {
  test('the deadline ends a call that the server keeps, on both sides', async () => {
    const clock = new ManualClock()
    const arrived = gate<ServerCall>()
    const aborted = gate<unknown>()
    const handle = (_request: Buffer, call: ServerCall) => {
      call.signal.addEventListener('abort', () => aborted.open(call.signal.reason))
      arrived.open(call)
      return new Promise<Buffer>(() => {})
    }
    const { address } = await serve({ '/t.S/Hang': { kind: 'unary', handle } })
    const channel = open(address, { clock })
    const call = failure(channel.unary('/t.S/Hang', hello, { deadlineMs: 5000 }))
    await arrived.opened
    clock.advance(5000)
    expect(await call).toMatchObject({
      code: 4,
      details: 'context deadline exceeded',
      unprocessed: false,
    })
    expect(await aborted.opened).toMatchObject({ code: 1 }) // the server heard of it
  })

  test('the server keeps the deadline by itself, from the grpc-timeout header', async () => {
    const clock = new ManualClock()
    const arrived = gate()
    const reason = gate<unknown>()
    const handle = (_request: Buffer, call: ServerCall) => {
      call.signal.addEventListener('abort', () => reason.open(call.signal.reason))
      arrived.open()
      return new Promise<Buffer>(() => {})
    }
    const { address } = await serve({ '/t.S/Hang': { kind: 'unary', handle } }, { clock })
    const slowClock = new ManualClock() // the client's own deadline never comes
    const channel = open(address, { clock: slowClock })
    const call = failure(channel.unary('/t.S/Hang', hello, { deadlineMs: 5000 }))
    await arrived.opened
    clock.advance(5000)
    expect(await call).toMatchObject({ code: 4, details: 'context deadline exceeded' })
    expect(await reason.opened).toMatchObject({ code: 4 })
  })

  test('a deadline further away than timers can be set is left to the client', async () => {
    const delays: number[] = []
    const after = (delayMs: number, callback: () => void) => {
      delays.push(delayMs)
      return systemClock.after(delayMs, callback)
    }
    const { address } = await serve({ '/t.S/Echo': echo }, { clock: { ...systemClock, after } })
    const channel = open(address, { clock: new ManualClock() })
    for (const deadlineMs of [2 ** 31 - 1000, 2 ** 31 + 1000]) {
      expect(await channel.unary('/t.S/Echo', hello, { deadlineMs })).toEqual(hello)
    }
    expect(Math.max(...delays)).toBe(2_147_483_000) // sent as whole seconds
  })

  test('a deadline further away than timers can be set is waited for in parts', async () => {
    const delays: number[] = []
    class NotedClock extends ManualClock {
      override after(delayMs: number, callback: () => void) {
        delays.push(delayMs)
        return super.after(delayMs, callback)
      }
    }
    const clock = new NotedClock()
    const call = failure(
      open([{ host: '127.0.0.1', port: await deadPort() }], { clock }).unary('/t.S/Echo', hello, {
        deadlineMs: 2 ** 32,
      }),
    )
    const timerMax = 2 ** 31 - 1
    expect(Math.max(...delays)).toBe(timerMax)
    let isOver = false
    void call.then(() => {
      isOver = true
    })
    clock.advance(timerMax)
    clock.advance(timerMax)
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    clock.advance(2)
    expect(await call).toMatchObject({ code: 4 })
    expect(Math.max(...delays)).toBe(timerMax)
  })

  test('a deadline that has passed fails without a call', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const call = open(address).unary('/t.S/Echo', hello, { deadlineMs: 0 })
    expect(await failure(call)).toMatchObject({ code: 4, unprocessed: true })
  })

  test('the signal cancels a unary call, and the handler hears of it', async () => {
    const controller = new AbortController()
    const aborted = gate<unknown>()
    const handle = (_request: Buffer, call: ServerCall) => {
      call.signal.addEventListener('abort', () => aborted.open(call.signal.reason))
      controller.abort()
      return new Promise<Buffer>(() => {})
    }
    const { address } = await serve({ '/t.S/Hang': { kind: 'unary', handle } })
    const { signal } = controller
    const call = open(address).unary('/t.S/Hang', hello, { signal })
    expect(await failure(call)).toMatchObject({ code: 1, details: 'context canceled' })
    expect(await aborted.opened).toMatchObject({ code: 1 })
  })

  test('a signal that was aborted before sends nothing', async () => {
    const { address } = await serve({ '/t.S/Echo': echo })
    const call = open(address).unary('/t.S/Echo', hello, { signal: AbortSignal.abort() })
    expect(await failure(call)).toMatchObject({ code: 1, unprocessed: true })
  })

  test('cancel() drops what was received and wakes the reader', async () => {
    const handle = async (stream: ServerStream) => {
      await stream.write(hello)
      await new Promise<void>((resolve) => stream.signal.addEventListener('abort', () => resolve()))
    }
    const { address } = await serve({ '/t.S/Wait': { kind: 'stream', handle } })
    const stream = open(address).stream('/t.S/Wait')
    const answers = stream[Symbol.asyncIterator]()
    await answers.next()
    const waiting = answers.next()
    stream.cancel()
    await expect(waiting).rejects.toMatchObject({ code: 1 })
    await expect(stream.write(hello)).rejects.toMatchObject({ code: 1 })
  })

  test('an answered call leaves no timer behind', async () => {
    const clock = new ManualClock()
    const serverClock = new ManualClock()
    const { address, server } = await serve({ '/t.S/Echo': echo }, { clock: serverClock })
    const channel = open(address, { clock, keepaliveTimeMs: 30_000, keepaliveTimeoutMs: 6000 })
    await channel.unary('/t.S/Echo', hello, { deadlineMs: 5000 })
    expect(clock.pendingCount).toBe(1) // keep-alive
    await channel.close()
    expect(clock.pendingCount).toBe(0)
    await server.close(1000)
    expect(serverClock.pendingCount).toBe(0)
  })
})
