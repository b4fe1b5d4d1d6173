// initial-cluster.ts: --initial-cluster and the peer URLs in it, with etcd's checks and texts.
//
//     a=http://10.0.0.1:2380,a=http://10.1.0.1:2380,b=http://10.0.0.2:2380
//
// names a twice: its URLs add up. URLs are kept as text because member ids are made of that text.
import { memberId } from './cluster-id.js'
import type { MemberRecord } from './schema.js'

/** Flags that contradict each other or do not say where members are; the message is etcd's. */
export class InitialClusterError extends Error {
  override readonly name = 'InitialClusterError'
}

export interface Bootstrap {
  /** The member that is asking. */
  name: string
  initialCluster: string
  initialClusterToken: string
  /** Comma-separated. */
  initialAdvertisePeerUrls: string
}

/** The members of a new cluster, in ascending order of id. Throws InitialClusterError. */
export function initialMembers(bootstrap: Bootstrap): MemberRecord[] {
  const { name, initialCluster, initialClusterToken, initialAdvertisePeerUrls } = bootstrap
  const advertised = parsePeerUrls(initialAdvertisePeerUrls.split(','))
  const cluster = parseInitialCluster(initialCluster)
  checkBootstrap(name, advertised, cluster)
  const members = [...cluster].map(([memberName, peerUrls]) => ({
    id: memberId(peerUrls, initialClusterToken),
    peerUrls,
    isLearner: false,
    name: memberName,
    clientUrls: [],
  }))
  return members.sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** URLs of each member, sorted. */
export function parseInitialCluster(text: string): Map<string, string[]> {
  const texts = new Map<string, string[]>()
  for (const entry of text.split(',')) {
    if (entry === '') continue
    const equals = entry.indexOf('=')
    const name = equals < 0 ? entry : entry.slice(0, equals)
    const url = equals < 0 ? '' : entry.slice(equals + 1)
    texts.set(name, [...(texts.get(name) ?? []), url])
  }
  return new Map([...texts].map(([name, urls]) => [name, parsePeerUrls(urls)]))
}

/** Checks URLs that members may be reached at, and sorts them by their bytes. */
export function parsePeerUrls(texts: readonly string[]): string[] {
  return texts
    .map((text) => peerUrl(text.trim()))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

const webSchemes = new Set(['http', 'https'])
const socketSchemes = new Set(['unix', 'unixs'])

function peerUrl(text: string): string {
  const [, scheme = '', rest = text] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(text) ?? []
  const [, host, path = ''] = /^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? []
  const isWeb = webSchemes.has(scheme.toLowerCase())
  const problem = parseProblem(scheme, rest, host ?? '')
  if (problem !== undefined) throw new InitialClusterError(`parse "${text}": ${problem}`)
  if (!isWeb && !socketSchemes.has(scheme.toLowerCase())) {
    throw new InitialClusterError(`URL scheme must be http, https, unix, or unixs: ${text}`)
  }
  if (isWeb && !isHostPort(host ?? '')) {
    throw new InitialClusterError(`URL address does not have the form "host:port": ${text}`)
  }
  if (isWeb && path !== '') {
    throw new InitialClusterError(`URL must not contain a path: ${text}`)
  }
  return `${scheme.toLowerCase()}:${rest}`
}

/** What Go's URL parser would stumble over, as far as a peer URL can get there. */
function parseProblem(scheme: string, rest: string, host: string): string | undefined {
  const [badEscape] = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(rest) ?? []
  if (badEscape !== undefined) return `invalid URL escape "${badEscape}"`
  const [badCharacter] = /[ "<>\\^`{|}]/.exec(host) ?? []
  if (badCharacter !== undefined) return `invalid character "${badCharacter}" in host name`
  const [badPort] = /:[^:\]]*[^0-9:\]][^:\]]*$/.exec(host) ?? []
  if (badPort !== undefined) return `invalid port "${badPort}" after host`
  if (scheme === '' && /^[^/]*:/.test(rest)) return 'first path segment in URL cannot contain colon'
  return undefined
}

function isHostPort(host: string): boolean {
  return /^([^:[\]]*|\[[^[\]]*\]):[0-9]*$/.test(host)
}

function checkBootstrap(
  name: string,
  advertised: readonly string[],
  cluster: ReadonlyMap<string, readonly string[]>,
): void {
  const own = cluster.get(name)
  if (own === undefined) {
    const quoted = JSON.stringify(name)
    throw new InitialClusterError(
      `couldn't find local name ${quoted} in the initial cluster configuration`,
    )
  }
  checkAdvertised(name, advertised, own)
  const urls = [...cluster.values()].flat()
  if (new Set(urls).size < urls.length) {
    const text = clusterText([...cluster])
    throw new InitialClusterError(`initial cluster ${text} has duplicate url`)
  }
}

/** Compares texts: unlike etcd, which also takes two names of one address for equal. */
function checkAdvertised(
  name: string,
  advertised: readonly string[],
  own: readonly string[],
): void {
  const onlyInCluster = own.filter((url) => !advertised.includes(url))
  if (onlyInCluster.length > 0) {
    const missing = onlyInCluster.map((url) => `${name}=${url}`).join(',')
    throw new InitialClusterError(
      `--initial-cluster has ${missing} but missing from ` +
        `--initial-advertise-peer-urls=${advertised.join(',')} (${difference(advertised, own)})`,
    )
  }
  const onlyAdvertised = advertised.filter((url) => !own.includes(url))
  if (onlyAdvertised.length > 0) {
    throw new InitialClusterError(
      `--initial-advertise-peer-urls has ${onlyAdvertised.join(',')} but missing from ` +
        `--initial-cluster=${clusterText([[name, advertised]])}`,
    )
  }
}

function difference(advertised: readonly string[], own: readonly string[]): string {
  if (advertised.length !== own.length) return `len(${goList(advertised)}) != len(${goList(own)})`
  const at = advertised.findIndex((url, index) => url !== own[index])
  return `resolved urls: ${JSON.stringify(advertised[at])} != ${JSON.stringify(own[at])}`
}

function goList(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`
}

function clusterText(members: readonly (readonly [string, readonly string[]])[]): string {
  return members
    .flatMap(([name, urls]) => urls.map((url) => `${name}=${url}`))
    .sort()
    .join(',')
}
