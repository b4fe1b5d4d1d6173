// access-control.ts: whose requests over plain HTTP are heard. The rules are etcd's, and stand
// before every path of the client port, the JSON gateway included:
//
//   --host-whitelist   without TLS, the name that the client used for this server must be listed.
//                      A web page can make its own name point to localhost ("DNS rebinding"), but
//                      cannot make the browser say another name than that.
//   --cors             pages of these origins are told that they may read the answer.
//
// Behind --client-cert-auth a certificate's name would be the user; over the gateway it cannot be,
// so whoever shows one there is told so, once users matter.
import { type Reply, textError } from './reply.js'

export interface AccessRules {
  /** As in http://app.example:8080; `*` allows all. */
  cors: readonly string[]
  /** Without ports; `*` allows all. */
  hostWhitelist: readonly string[]
  /** Users are known by their certificate, so a nameless gateway would mislead. */
  isCommonNameUser: boolean
}

export interface Visit {
  /** Host of the request, with its port if it has one. */
  host: string
  origin: string
  isTls: boolean
  /** Of a certificate that was checked; empty without one. */
  commonName: string
  isGateway: boolean
}

export interface Admission {
  /** Undefined: go on. */
  refusal?: Reply
  headers: Readonly<Record<string, string>>
}

export function admission(rules: AccessRules, visit: Visit): Admission {
  const { host, origin, isTls, isGateway, commonName } = visit
  if (!isTls) {
    const name = hostname(host)
    if (!allows(rules.hostWhitelist, name)) return { refusal: unrecognized(name), headers: {} }
  } else if (rules.isCommonNameUser && isGateway && commonName !== '') {
    return { refusal: textError(400, nameIgnored), headers: {} }
  }
  if (rules.cors.includes('*')) return { headers: corsHeaders('*') }
  return { headers: rules.cors.includes(origin) ? corsHeaders(origin) : {} }
}

const allows = (list: readonly string[], name: string): boolean =>
  list.includes('*') || list.includes(name)

const corsHeaders = (origin: string): Record<string, string> => ({
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'Access-Control-Allow-Origin': origin,
  'Access-Control-Allow-Headers': 'accept, content-type, authorization',
})

/**
 * Without its port, as Go takes the two apart: what does not have the form host:port or [host]:port
 * is a name as it stands.
 */
export function hostname(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):[^:[\]]*$/.exec(host) ?? []
  return bracketed ?? plain ?? host
}

const nameIgnored =
  'CommonName of client sending a request against gateway will be ignored and not used as expected'

/** etcd's words: they tell what to do. */
const unrecognized = (name: string): Reply =>
  textError(
    421,
    `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(name)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`,
  )
