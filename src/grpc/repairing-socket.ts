// repairing-socket.ts: the connection of a client whose calls name a URL as their :authority, for
// node:http2 to read: every header block passes through withoutUrl(), all else as it is. A later
// call refers to the :authority of the first by index, but only until so many other fields came
// that the client's table dropped it; grpc-go is there after some seventy calls with a deadline.
//
// It costs a passage through JavaScript for each piece, so it is only for connections whose first
// call is one of those.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { HeaderRepair } from './header-repair.js'

export class RepairingSocket extends Duplex {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    const repair = new HeaderRepair()
    socket.on('data', (piece: Buffer) => {
      for (const bytes of repair.push(piece)) {
        if (!this.push(bytes)) socket.pause()
      }
    })
    socket.once('end', () => this.push(null))
    socket.once('error', (error) => this.destroy(error))
    socket.once('close', () => this.destroy())
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}
