// discovery.ts: endpoints from DNS (--discovery-srv). Two services of the domain are asked for:
//
//   _etcd-client-ssl._tcp.example.com   https://host:port
//   _etcd-client._tcp.example.com       http://host:port, unless --insecure-discovery=false
//
// With --discovery-srv-name N the services are _etcd-client-ssl-N and _etcd-client-N.
import { CommandError } from './context.js'
import type { GlobalOptions } from './global-flags.js'

export interface SrvRecord {
  readonly name: string
  readonly port: number
  /** The lowest is to be tried first. */
  readonly priority: number
}

export interface Resolving {
  resolveSrv(name: string): Promise<readonly SrvRecord[]>
  warn(text: string): void
}

type Settings = Pick<
  GlobalOptions,
  'discoverySrv' | 'discoverySrvName' | 'insecureDiscovery' | 'endpoints'
>

/** What was found, else --endpoints. Fails when neither service can be asked for. */
export async function discoveredEndpoints(
  settings: Settings,
  { resolveSrv, warn }: Resolving,
): Promise<readonly string[]> {
  const suffix = settings.discoverySrvName === '' ? '' : `-${settings.discoverySrvName}`
  const lookUp = async (service: string, scheme: string): Promise<string[]> => {
    const records = await resolveSrv(`_${service}${suffix}._tcp.${settings.discoverySrv}`)
    const inOrder = [...records].sort((a, b) => a.priority - b.priority)
    return inOrder.map(({ name, port }) => `${scheme}://${name}:${port}`)
  }
  const [secure, plain] = await Promise.allSettled([
    lookUp('etcd-client-ssl', 'https'),
    lookUp('etcd-client', 'http'),
  ])
  if (secure.status === 'rejected' && plain.status === 'rejected') {
    const problem = `dns lookup errors: ${message(secure.reason)} and ${message(plain.reason)}`
    throw new CommandError(problem, { exitCode: 1, cause: plain.reason })
  }
  const found = secure.status === 'fulfilled' ? [...secure.value] : []
  for (const endpoint of plain.status === 'fulfilled' ? plain.value : []) {
    if (settings.insecureDiscovery) found.push(endpoint)
    else warn(`ignoring discovered insecure endpoint "${endpoint}"\n`)
  }
  return found.length > 0 ? found : settings.endpoints
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))
