// ends.ts: starts servers and channels for a test on free ports and takes them down after it.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach } from 'vitest'
import type { Channel, ChannelOptions } from '../../src/grpc/channel.js'
import type { ListenAt } from '../../src/grpc/listener.js'
import { type GrpcServerOptions, type Handler, newGrpcServer } from '../../src/grpc/server.js'
import { RpcError } from '../../src/grpc/status.js'
import { systemClock } from '../../src/platform/clock.js'
import { silentLog } from '../../src/platform/log.js'
import { freePorts } from '../support/free-ports.js'
import { openPlainChannel } from '../support/open-plain-channel.js'

const cleanups: (() => Promise<unknown> | unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export function onTestEnd(cleanup: () => Promise<unknown> | unknown): void {
  cleanups.push(cleanup)
}

const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), 'utf8')

export const ca = fixture('ca.crt')
export const serverTls = { cert: fixture('server.crt'), key: fixture('server.key'), ca }
export const clientTls = { cert: fixture('client.crt'), key: fixture('client.key'), ca }

export const echo: Handler = { kind: 'unary', handle: (request) => request }
/** Says back each message of a stream. */
export const chat: Handler = {
  kind: 'stream',
  handle: async (stream) => {
    for await (const message of stream) await stream.write(message)
  },
}

export const keepalive = {
  minTimeMs: 5000,
  permitWithoutStream: false,
  timeMs: 7_200_000,
  timeoutMs: 20_000,
}

export async function serve(
  handlers: Record<string, Handler>,
  options: Partial<GrpcServerOptions> & { at?: ListenAt } = {},
) {
  const { at = { host: '127.0.0.1', port: 0 }, ...rest } = options
  const server = newGrpcServer({
    handlers: new Map(Object.entries(handlers)),
    receiveMaxBytes: 2 * 1024 * 1024,
    keepalive,
    log: silentLog,
    clock: systemClock,
    ...rest,
  })
  const { port } = await server.listen(at)
  onTestEnd(() => server.close(0))
  return { server, port, address: { host: '127.0.0.1', port } }
}

export function open(
  address: ChannelOptions['addresses'][number] | ChannelOptions['addresses'],
  options: Partial<ChannelOptions> = {},
): Channel {
  const channel = openPlainChannel(address, options)
  onTestEnd(() => channel.close())
  return channel
}

export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'grpc-'))
  onTestEnd(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A port on which nothing listens, and which no client gets as its own. */
export async function deadPort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

/** A server that is no gRPC server; its sockets go with the test. */
export async function rawServer(onSocket: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestEnd(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return portOf(server)
}

export function portOf(server: net.Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The RpcError that a call fails with. */
export async function failure(call: Promise<unknown>): Promise<RpcError> {
  try {
    await call
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('the call succeeded')
}

export async function collect(messages: AsyncIterable<Buffer>): Promise<string[]> {
  const texts: string[] = []
  for await (const message of messages) texts.push(message.toString())
  return texts
}

/** A promise to be settled from outside, for handlers that a test holds and lets go. */
export function gate<T = void>() {
  let open: (value: T) => void = () => {}
  const opened = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, opened }
}
