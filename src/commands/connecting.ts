// connecting.ts: the global flags, turned into what a connection wants to know. Who the user is
// may have to be asked, and where the endpoints are may have to be looked up in DNS; everything
// else is a matter of names.
import type { ConnectOptions, TlsSettings } from '../connection/connect.js'
import type { Resolving } from './discovery.js'
import type { GlobalOptions } from './global-flags.js'

export interface Asking extends Resolving {
  /** The text that a person types at `prompt`, without an echo. */
  password(prompt: string): Promise<string>
}

export async function connectOptions(
  globals: GlobalOptions,
  asking: Asking,
): Promise<ConnectOptions> {
  const { discoverySrv, insecureDiscovery } = globals
  const isDiscovered = discoverySrv !== ''
  const endpoints = isDiscovered ? await discovered(globals, asking) : globals.endpoints
  const user = globals.authJwtToken === '' ? await identity(globals, asking) : undefined
  return {
    endpoints,
    dialTimeoutMs: globals.dialTimeoutMs,
    keepaliveTimeMs: globals.keepaliveTimeMs,
    keepaliveTimeoutMs: globals.keepaliveTimeoutMs,
    maxSendBytes: globals.maxRequestBytes,
    maxReceiveBytes: globals.maxRecvBytes,
    tls: {
      ...tlsSettings(globals),
      // Records that anyone may have forged must lead to a server of that domain.
      serverName: isDiscovered && !insecureDiscovery ? discoverySrv : undefined,
    },
    user,
    token: globals.authJwtToken === '' ? undefined : globals.authJwtToken,
  }
}

export const tlsSettings = (globals: GlobalOptions): TlsSettings => ({
  cert: globals.cert,
  key: globals.key,
  cacert: globals.cacert,
  insecureSkipVerify: globals.insecureSkipTlsVerify,
  insecureTransport: globals.insecureTransport,
})

async function discovered(globals: GlobalOptions, asking: Asking): Promise<readonly string[]> {
  const { discoveredEndpoints } = await import('./discovery.js')
  return discoveredEndpoints(globals, asking)
}

/** A user without a password goes unnamed: etcdctl does not authenticate then, and so do we. */
export async function identity(
  { user, password }: Pick<GlobalOptions, 'user' | 'password'>,
  asking: Pick<Asking, 'password'>,
  prompt = 'Password: ',
): Promise<ConnectOptions['user']> {
  if (user === '') return undefined
  const known = password === '' ? splitUser(user) : { name: user, password }
  const name = known.name
  const secret = known.password ?? (await asking.password(prompt))
  return secret === '' ? undefined : { name, password: secret }
}

/** `name:password` at the first colon; without a colon the password is not known yet. */
function splitUser(user: string): { name: string; password: string | undefined } {
  const colon = user.indexOf(':')
  if (colon < 0) return { name: user, password: undefined }
  return { name: user.slice(0, colon), password: user.slice(colon + 1) }
}
