// socket.ts: puts a connection of HTTP/2 on a socket, which it then has to itself.
import type { Socket } from 'node:net'
import { Connection, type ConnectionOptions, type Transport } from './connection.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { setImmediate } = globalThis

export interface SocketOptions extends ConnectionOptions {
  /** Told once, when the socket is closed. */
  onClose(): void
}

export function connectionOn(socket: Socket, options: SocketOptions): Connection {
  const drained = () => connection.drained()
  const connection: Connection = new Connection(new SocketTransport(socket, drained), options)
  socket.on('data', (piece: Buffer) => connection.receive(piece))
  socket.on('drain', drained)
  socket.on('error', ignore) // whoever accepted the socket says so; the end is told by close
  socket.on('close', () => {
    connection.closed()
    options.onClose()
  })
  socket.resume()
  return connection
}

class SocketTransport implements Transport {
  readonly #socket: Socket
  readonly #onDrained: () => void

  constructor(socket: Socket, onDrained: () => void) {
    this.#socket = socket
    this.#onDrained = onDrained
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  write(pieces: readonly Buffer[]): void {
    const socket = this.#socket
    let bytes = 0
    // Together: a writev, or one record of TLS.
    if (pieces.length > 1) socket.cork()
    for (const piece of pieces) {
      socket.write(piece)
      bytes += piece.length
    }
    if (pieces.length > 1) socket.uncork()
    // What the kernel takes at once is gone without an event, however much it was. Not in this
    // turn, so that a client which reads as fast as we write leaves some turns to others.
    const isSilent = bytes >= socket.writableHighWaterMark && socket.writableLength === 0
    if (isSilent) setImmediate(this.#onDrained)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

function ignore(): void {}
