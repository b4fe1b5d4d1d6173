// socket.ts: puts an end of an HTTP/2 connection on a socket, which it then has to itself.
import type { Socket } from 'node:net'
import type { Transport } from './link.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { setImmediate } = globalThis

/** Either end of a connection. */
export interface SocketEnd {
  receive(piece: Buffer): void
  drained(): void
  closed(): void
}

/** `make` gets the way out. */
export function putOnSocket<End extends SocketEnd>(
  socket: Socket,
  make: (transport: Transport) => End,
): End {
  const drained = () => end.drained()
  const end = make(new SocketTransport(socket, drained))
  socket.on('data', (piece: Buffer) => end.receive(piece))
  socket.on('drain', drained)
  socket.on('error', ignore) // whoever has the socket says so; the end is told by close
  socket.on('close', () => end.closed())
  socket.resume()
  return end
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
