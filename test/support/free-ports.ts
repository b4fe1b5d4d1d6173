// free-ports.ts: ports for servers that must be told theirs before they start. They are taken from
// below those that the system gives to clients, or to whoever asks for port 0: such a one may have
// gone to somebody else before the server is there.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'

const portMin = 10_000
/** Linux begins here with ports for clients; other systems higher. */
const portEnd = 32_768

/** Test files run side by side, so each begins somewhere else. */
let next = randomInt(portMin, portEnd)

/** Ports that were free a moment ago, all different, and none that this file was given before. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = next
    next = port + 1 < portEnd ? port + 1 : portMin
    if (await isFree(port)) ports.push(port)
  }
  return ports
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
