// port.ts: opens a port for a server of node, whatever it serves.
import type { Server } from 'node:net'
import type { Address } from './address.js'

/** @returns the port taken; 0 for a unix socket. @throws what the system has against it */
export function openPort(server: Server, at: Address): Promise<number> {
  const where = 'path' in at ? { path: at.path } : { host: at.host, port: at.port }
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(address === null || typeof address === 'string' ? 0 : address.port)
    })
  })
}
