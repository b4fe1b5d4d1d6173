// free-ports.ts: ports for servers that must be told theirs before they start, or have to come back
// to them. They are taken from below those that the system gives to clients, or to whoever asks for
// port 0: such a one may have gone to somebody else before the server is there. Test files that run
// side by side have ranges of their own for the same reason.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'

/** Workers of vitest that have a range of their own; it numbers those that run from 1. */
const rangeCount = 8
const rangeSize = 1_250
/** Ends where clusters of the library begin (server/library/ports.ts). */
const portMin = 10_000 + ((Number(process.env.VITEST_POOL_ID ?? 1) - 1) % rangeCount) * rangeSize
const portEnd = portMin + rangeSize

/** Another run of the tests may have the same range, so each file begins somewhere in it. */
let next = randomInt(portMin, portEnd)

/** Ports that were free a moment ago, all different, and none that this file was given lately. */
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
