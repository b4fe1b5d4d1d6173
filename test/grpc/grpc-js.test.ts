// Other people's ends: @grpc/grpc-js as the client of our server and as the server of our client.
import * as grpc from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import type { Handler, ServerStream } from '../../src/grpc/server.js'
import { RpcError, Status } from '../../src/grpc/status.js'
import {
  chat,
  clientTls,
  collect,
  echo,
  failure,
  gate,
  onTestEnd,
  open,
  serve,
  serverTls,
} from './ends.js'

const hello = Buffer.from('hello')
const same = (bytes: Buffer): Buffer => bytes

function client(port: number, credentials = grpc.credentials.createInsecure()): grpc.Client {
  const made = new grpc.Client(`localhost:${port}`, credentials)
  onTestEnd(() => made.close())
  return made
}

interface Outcome {
  code: number
  details: string
  answer?: Buffer | undefined
  trailers?: grpc.Metadata
}

function unary(
  from: grpc.Client,
  path: string,
  request: Buffer,
  options: grpc.CallOptions = {},
  metadata = new grpc.Metadata(),
): Promise<Outcome> {
  return new Promise((resolve) => {
    from.makeUnaryRequest(path, same, same, request, metadata, options, (error, answer) => {
      if (error === null) resolve({ code: 0, details: '', answer })
      else resolve({ code: error.code, details: error.details })
    })
  })
}

describe('grpc-js as client', () => {
  const handlers: Record<string, Handler> = {
    '/t.S/Echo': echo,
    '/t.S/Chat': chat,
    '/t.S/Fail': {
      kind: 'unary',
      handle: () => {
        throw new RpcError(Status.failedPrecondition, 'größer als 100 %')
      },
    },
    '/t.S/Token': { kind: 'unary', handle: (_, call) => Buffer.from(call.metadata.token ?? '') },
  }

  test('unary calls, small, empty and large', async () => {
    const { port } = await serve(handlers)
    const from = client(port)
    for (const size of [0, 5, 100_000, 2_000_000]) {
      const { answer } = await unary(from, '/t.S/Echo', Buffer.alloc(size, 7))
      expect(answer?.length).toBe(size)
    }
    const many = Array.from({ length: 300 }, (_, i) =>
      unary(from, '/t.S/Echo', Buffer.from(`${i}`)),
    )
    const answers = await Promise.all(many)
    expect(answers.map(({ answer }) => String(answer))).toEqual(many.map((_, i) => `${i}`))
  })

  test('errors, their texts, and metadata', async () => {
    const { port } = await serve(handlers)
    const from = client(port)
    expect(await unary(from, '/t.S/Fail', hello)).toMatchObject({
      code: 9,
      details: 'größer als 100 %',
    })
    expect(await unary(from, '/t.S/Nope', hello)).toMatchObject({
      code: 12,
      details: 'unknown method Nope for service t.S',
    })
    expect(await unary(from, '/t.S/Echo', Buffer.alloc(3_000_000))).toMatchObject({
      code: 8,
      details: 'grpc: received message larger than max (3000000 vs. 2097152)',
    })
    const metadata = new grpc.Metadata()
    metadata.set('token', 'abc.1')
    const { answer } = await unary(from, '/t.S/Token', hello, {}, metadata)
    expect(String(answer)).toBe('abc.1')
  })

  test('bidi streams talk in turn and end after the half-close', async () => {
    const { port } = await serve(handlers)
    const call = client(port).makeBidiStreamRequest('/t.S/Chat', same, same)
    const seen: string[] = []
    const ended = gate<grpc.StatusObject>()
    call.on('status', (status: grpc.StatusObject) => ended.open(status))
    call.on('data', (message: Buffer) => {
      seen.push(String(message))
      if (seen.length < 100) call.write(Buffer.from(`${seen.length}`))
      else call.end()
    })
    call.write(Buffer.from('0'))
    expect(await ended.opened).toMatchObject({ code: 0 })
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`))
  })

  test('its deadline and its cancel reach the handler', async () => {
    const reasons: unknown[] = []
    const arrived = [gate(), gate()]
    const aborted = [gate(), gate()]
    let count = 0
    const hang: Handler = {
      kind: 'stream',
      handle: async (stream: ServerStream) => {
        const index = count++
        arrived[index]?.open()
        await new Promise<void>((resolve) => {
          stream.signal.addEventListener('abort', () => resolve())
        })
        reasons.push(stream.signal.reason)
        aborted[index]?.open()
      },
    }
    const { port } = await serve({ '/t.S/Hang': hang })
    const from = client(port)
    const one = from.makeBidiStreamRequest('/t.S/Hang', same, same)
    one.on('error', () => {})
    await arrived[0]?.opened
    one.cancel()
    await aborted[0]?.opened
    const outcome = await unary(from, '/t.S/Hang', hello, { deadline: Date.now() + 50 })
    expect(outcome.code).toBe(4)
    await aborted[1]?.opened
    expect(reasons.length).toBe(2)
  })

  test('TLS with a client certificate', async () => {
    let name: string | undefined
    const who: Handler = {
      kind: 'unary',
      handle: (request, call) => {
        name = call.peer.commonName
        return request
      },
    }
    const at = { host: 'localhost', port: 0, tls: { ...serverTls, requireClientCert: true } }
    const { port } = await serve({ '/t.S/Who': who }, { at })
    const { ca, key, cert } = clientTls
    const pem = [ca, key, cert].map((text) => Buffer.from(text))
    const credentials = grpc.credentials.createSsl(pem[0], pem[1], pem[2])
    expect(await unary(client(port, credentials), '/t.S/Who', hello)).toMatchObject({ code: 0 })
    expect(name).toBe('root')
  })

  test('a graceful stop lets its call finish', async () => {
    const arrived = gate()
    const go = gate()
    const slow: Handler = {
      kind: 'unary',
      handle: async (request) => {
        arrived.open()
        await go.opened
        return request
      },
    }
    const { port, server } = await serve({ '/t.S/Slow': slow })
    const call = unary(client(port), '/t.S/Slow', hello)
    await arrived.opened
    const closed = server.close(60_000)
    go.open()
    expect(await call).toMatchObject({ code: 0 })
    await closed
  })
})

describe('grpc-js as server', () => {
  async function start(credentials = grpc.ServerCredentials.createInsecure()) {
    const server = new grpc.Server({ 'grpc.max_receive_message_length': 1_000_000 })
    const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
      path: `/t.S/${name}`,
      requestStream,
      responseStream,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    })
    const cancelled = gate()
    server.addService(
      {
        Echo: method('Echo', false, false),
        Fail: method('Fail', false, false),
        Hang: method('Hang', false, false),
        Chat: method('Chat', true, true),
        Many: method('Many', false, true),
      },
      {
        Echo: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) =>
          reply(null, call.request),
        Fail: (_call: unknown, reply: grpc.sendUnaryData<Buffer>) =>
          reply({ code: 5, details: 'größer als 100 %' }),
        Hang: (call: grpc.ServerUnaryCall<Buffer, Buffer>) =>
          call.on('cancelled', () => cancelled.open()),
        Chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          call.on('data', (message) => call.write(message))
          call.on('end', () => call.end())
        },
        Many: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
          for (let i = 0; i < 1000; i++) call.write(Buffer.alloc(10_000, i))
          call.end()
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('localhost:0', credentials, (error, taken) =>
        error === null ? resolve(taken) : reject(error),
      ),
    )
    onTestEnd(() => server.forceShutdown())
    return { port, server, cancelled, address: { host: 'localhost', port } }
  }

  test('unary calls and errors', async () => {
    const { address } = await start()
    const channel = open(address)
    for (const size of [0, 5, 900_000]) {
      expect((await channel.unary('/t.S/Echo', Buffer.alloc(size))).length).toBe(size)
    }
    const details = 'größer als 100 %'
    expect(await failure(channel.unary('/t.S/Fail', hello))).toMatchObject({ code: 5, details })
    expect(await failure(channel.unary('/t.S/Nope', hello))).toMatchObject({ code: 12 })
    const large = channel.unary('/t.S/Echo', Buffer.alloc(1_000_001))
    expect(await failure(large)).toMatchObject({ code: 8 })
  })

  test('streams', async () => {
    const { address } = await start()
    const channel = open(address)
    const stream = channel.stream('/t.S/Chat')
    for (let i = 0; i < 100; i++) await stream.write(Buffer.from(`${i}`))
    stream.end()
    expect(await collect(stream)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`))
    const many = channel.stream('/t.S/Many')
    await many.write(hello)
    many.end()
    let bytes = 0
    for await (const message of many) bytes += message.length
    expect(bytes).toBe(10_000_000)
  })

  test('cancel and deadline', async () => {
    const { address, cancelled } = await start()
    const channel = open(address)
    const controller = new AbortController()
    const call = failure(channel.unary('/t.S/Hang', hello, { signal: controller.signal }))
    await channel.unary('/t.S/Echo', hello)
    controller.abort()
    expect(await call).toMatchObject({ code: 1 })
    await cancelled.opened
    const late = channel.unary('/t.S/Hang', hello, { deadlineMs: 30 })
    expect(await failure(late)).toMatchObject({ code: 4 })
  })

  test('TLS', async () => {
    const { ca, cert, key } = serverTls
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }
    const { address } = await start(grpc.ServerCredentials.createSsl(Buffer.from(ca), [pair], true))
    const channel = open(address, { tls: clientTls })
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
  })

  test('a server that shuts down gracefully sends new calls elsewhere', async () => {
    const first = await start()
    const second = await start()
    const channel = open([first.address, second.address])
    const stream = channel.stream('/t.S/Chat')
    await stream.write(hello)
    const answers = stream[Symbol.asyncIterator]()
    await answers.next()
    const down = new Promise<void>((resolve) => first.server.tryShutdown(() => resolve()))
    while (channel.peer !== undefined) await new Promise((resolve) => setImmediate(resolve))
    await channel.unary('/t.S/Echo', hello)
    expect(channel.peer).toBe(`localhost:${second.port}`)
    await stream.write(Buffer.from('more'))
    expect(String((await answers.next()).value)).toBe('more')
    stream.end()
    expect((await answers.next()).done).toBe(true)
    await down
  })
})
