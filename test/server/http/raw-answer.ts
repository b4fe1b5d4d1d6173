// raw-answer.ts: bytes to an HTTP server, and what comes back until it closes the connection, in a
// form in which the answers of two servers can be compared.
import { once } from 'node:events'
import net from 'node:net'

export interface Answer {
  status: string
  headers: string[]
  body: string
}

/** As it came, without what is about the moment and the version of HTTP in use. */
export async function answerTo(
  endpoint: string,
  bytes: string,
  { isHalfClosed = false } = {},
): Promise<Answer> {
  const [host = '', port] = endpoint.split(':')
  const socket = net.connect(Number(port), host)
  if (isHalfClosed) socket.end(bytes)
  else socket.write(bytes)
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  await once(socket, 'close')
  const [head = '', ...body] = Buffer.concat(pieces).toString().split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const kept = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()))
  const moment = /^(date|content-length|connection|keep-alive|transfer-encoding):/
  const headers = kept.filter((line) => !moment.test(line)).sort()
  return { status: first.replace(/^HTTP\/1\.\d /, ''), headers, body: body.join('\r\n\r\n') }
}
