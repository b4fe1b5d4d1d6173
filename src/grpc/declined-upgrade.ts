// declined-upgrade.ts: a client asks by the header Upgrade for a protocol that is not spoken here,
// as curl does for HTTP/2. It is to get the answer to its request, as if it had not asked; but Node
// has by then taken its connection away from HTTP. So the head of the request is written again
// without that header, and the connection begins anew with it.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** What to put back in front of the connection. `head` is what came behind the request's head. */
export function withoutUpgrade(
  { method = 'GET', url = '/', httpVersion, rawHeaders }: IncomingMessage,
  head: Buffer,
): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[at + 1]}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
}

export type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean

/** For the event `upgrade`: what `take` does not want begins again. */
export const orAgain =
  (take: OnUpgrade, again: (socket: Duplex) => void) =>
  (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (take(request, socket, head)) return
    socket.unshift(withoutUpgrade(request, head))
    again(socket)
  }
