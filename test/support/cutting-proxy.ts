// cutting-proxy.ts: a TCP proxy that breaks connections: all of them when cut() is called, or each
// one after a number of bytes from the server that a seed decides. A cut is a reset: both ends
// lose what was on its way, as when a machine goes away.
import { once } from 'node:events'
import net from 'node:net'

export interface CuttingProxyOptions {
  target: { host: string; port: number }
  /** How many bytes from the server the next connection may carry; undefined: no limit. */
  nextLimitBytes?: () => number | undefined
}

export interface CuttingProxy {
  readonly port: number
  /** Connections that were accepted so far. */
  readonly connectionCount: number
  /** Breaks every connection there is. */
  cut(): void
  /** Breaks everything and accepts nothing until resume(). */
  refuse(): void
  resume(): void
  [Symbol.asyncDispose](): Promise<void>
}

export async function startCuttingProxy(options: CuttingProxyOptions): Promise<CuttingProxy> {
  const { target, nextLimitBytes = () => undefined } = options
  const sockets = new Set<net.Socket>()
  let connectionCount = 0
  let isRefusing = false

  const server = net.createServer((client) => {
    if (isRefusing) return void client.resetAndDestroy()
    connectionCount++
    const upstream = net.connect(target)
    let left = nextLimitBytes() ?? Number.POSITIVE_INFINITY
    const cutBoth = (): void => {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', cutBoth)
      socket.on('close', () => {
        sockets.delete(socket)
        cutBoth()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (data) => {
      // The bytes up to the limit still arrive: the cut falls inside a frame.
      const passed = data.subarray(0, Math.min(left, data.length))
      left -= passed.length
      if (left === 0) client.write(passed, cutBoth)
      else if (!client.write(passed)) {
        upstream.pause()
        client.once('drain', () => upstream.resume())
      }
    })
  })

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    get connectionCount() {
      return connectionCount
    },
    cut,
    refuse() {
      isRefusing = true
      cut()
    },
    resume() {
      isRefusing = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}

/** Numbers in [0, limit) that depend on the seed alone (mulberry32). */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
