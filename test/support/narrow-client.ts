// narrow-client.ts: a client that takes nothing before it is asked for it. Its flow-control window
// is 1 KiB, and what it has not read keeps the window closed: the server has to hold the rest.
import { type ClientHttp2Session, connect } from 'node:http2'
import type { ClientStream } from '../../src/grpc/channel.js'
import { FrameReader, frame } from '../../src/grpc/frame.js'

const windowBytes = 1024

export class NarrowClient {
  readonly #session: ClientHttp2Session

  constructor(port: number) {
    const settings = { initialWindowSize: windowBytes }
    this.#session = connect(`http://127.0.0.1:${port}`, { settings })
  }

  stream(path: string): ClientStream {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
    const stream = this.#session.request(headers)
    stream.on('error', () => {}) // told by the iteration
    return {
      async write(message) {
        stream.write(frame(message))
      },
      end: () => void stream.end(),
      cancel: () => stream.close(),
      async *[Symbol.asyncIterator]() {
        const messages: Buffer[] = []
        const reader = new FrameReader({ maxBytes: 2 ** 31 - 1, side: 'client' }, (message) =>
          messages.push(message),
        )
        for await (const piece of stream) {
          reader.push(piece as Buffer)
          yield* messages.splice(0)
        }
      },
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#session.once('close', resolve)
      this.#session.destroy()
    })
  }
}
