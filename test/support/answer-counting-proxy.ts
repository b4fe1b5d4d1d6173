// answer-counting-proxy.ts: a TCP proxy that counts the messages of an HTTP/2 server, so that a
// test knows when a client that shows nothing has had its answer: a watch that is created, a lock
// that is waited for. It understands frames as far as their heads.
import { once } from 'node:events'
import net from 'node:net'

export interface AnswerCountingProxy {
  readonly port: number
  /** DATA frames with content that came from the server so far. */
  readonly answerCount: number
  /** Called after each of them. */
  onAnswer: () => void
  [Symbol.asyncDispose](): Promise<void>
}

export async function startAnswerCountingProxy(target: number): Promise<AnswerCountingProxy> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect({ host: '127.0.0.1', port: target })
    const countFrames = frameCounter(() => {
      proxy.answerCount++
      proxy.onAnswer()
    })
    const closeBoth = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay()
      socket.on('error', closeBoth)
      socket.on('close', () => {
        sockets.delete(socket)
        closeBoth()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
    upstream.on('data', countFrames)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = {
    port: (server.address() as net.AddressInfo).port,
    answerCount: 0,
    onAnswer: (): void => undefined,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return proxy
}

const headBytes = 9

/** Takes the bytes of one connection, however they are cut, and reports each DATA frame. */
function frameCounter(report: () => void): (data: Buffer) => void {
  const head: number[] = []
  let left = 0 // of the body of the frame that is under way
  return (data) => {
    for (let at = 0; at < data.length; ) {
      if (left > 0) {
        const passed = Math.min(left, data.length - at)
        left -= passed
        at += passed
        continue
      }
      head.push(data[at++] ?? 0)
      if (head.length < headBytes) continue
      const [high = 0, middle = 0, low = 0, type] = head
      left = (high << 16) | (middle << 8) | low
      if (type === 0 && left > 0) report()
      head.length = 0
    }
  }
}
