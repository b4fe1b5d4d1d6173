// free-ports.ts: ports for servers that must be told theirs before they start, or have to come back
// to them. They are taken from below those that the system gives to clients, or to whoever asks for
// port 0: such a one may have gone to somebody else before the server is there. Test files, and
// runs of the tests, go side by side; so that none takes what another has been given, the UDP port
// of the same number is held for as long as the process lives. Nothing here speaks UDP.
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'

const portMin = 10_000
/** Clusters of the library begin here (server/library/ports.ts). */
const portEnd = 20_000

/** So that those who run side by side seldom meet. */
let next = randomInt(portMin, portEnd)

/** All different, free, and nobody else's. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = next
    next = port + 1 < portEnd ? port + 1 : portMin
    if ((await isReserved(port)) && (await isFree(port))) ports.push(port)
  }
  return ports
}

/** Whether it is ours from now on. */
async function isReserved(port: number): Promise<boolean> {
  const socket = createSocket('udp4').unref()
  try {
    socket.bind({ port, address: '127.0.0.1', exclusive: true })
    await once(socket, 'listening')
    return true
  } catch {
    socket.close()
    return false
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
