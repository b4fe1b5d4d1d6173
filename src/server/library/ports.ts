// ports.ts: ports for the members of a cluster, who must know each other's before they listen, and
// come back to their own. They are taken from below those that the system gives to clients: one of
// those may be some client's own by the time a member wants it.
import { createServer } from 'node:net'
import { openPort } from '../../grpc/port.js'

const portMin = 20_000
/** Linux begins here with ports for clients; other systems higher. */
const portEnd = 32_768
/** More than a program uses as a rule. */
const portsAProcess = 64

/** Programs that run side by side have different process ids, and so begin apart. */
let next = portMin + ((process.pid * portsAProcess) % (portEnd - portMin - portsAProcess))

/** All different, and free a moment ago. @throws Error when there are none */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let tried = portMin; tried < portEnd && ports.length < count; tried++) {
    const port = next
    next = port + 1 < portEnd ? port + 1 : portMin
    if (await isFree(port)) ports.push(port)
  }
  if (ports.length < count) throw new Error(`no free port between ${portMin} and ${portEnd}`)
  return ports
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await openPort(server, { host: '127.0.0.1', port })
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Whether it was somebody else's after all. */
export function isPortTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'EADDRINUSE') || isPortTaken(error.cause)
}
