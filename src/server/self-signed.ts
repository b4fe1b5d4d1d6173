// self-signed.ts: a certificate that nobody vouches for, for --auto-tls: it encrypts, and proves
// nothing. Node can make keys and signatures but no certificates, so the few structures of X.509
// that one needs are written here as DER: a tag, a length, and the contents.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

export interface SelfSigned {
  cert: string
  key: string
}

const dayMs = 24 * 60 * 60 * 1000

/** For these host names and addresses, from now on, for a year as in etcd. */
export function selfSigned(
  hosts: readonly string[],
  { nowMs, serial }: { nowMs: number; serial: Buffer },
): SelfSigned {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const validity = [time(nowMs - dayMs), time(nowMs + 365 * dayMs)]
  const signed = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), serial])), // above zero
    ecdsaWithSha256,
    name,
    sequence(...validity),
    name,
    publicKey,
    tagged(0xa3, sequence(...extensions(hosts))),
  )
  const signature = sign('sha256', signed, privateKey)
  const certificate = sequence(signed, ecdsaWithSha256, bits(signature))
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: pem(certificate), key }
}

/** No key usage: OpenSSL trusts a certificate that signs itself only if it may sign. */
function extensions(hosts: readonly string[]): Buffer[] {
  const names = hosts.map((host) => {
    if (isIPv4(host)) return tagged(0x87, Buffer.from(host.split('.').map(Number)))
    if (isIPv6(host)) return tagged(0x87, ipv6Bytes(host))
    return tagged(0x82, Buffer.from(host, 'latin1'))
  })
  return [
    extension(
      oids.extendedKeyUsage,
      sequence(objectId(oids.serverAuth), objectId(oids.clientAuth)),
    ),
    extension(oids.subjectAltName, sequence(...names)),
  ]
}

/** Eight groups, some of which `::` stands for. */
function ipv6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const all = tail === undefined ? before : [...before, ...zeros, ...after]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

/** Object identifiers, encoded. */
const oids = {
  ecdsaWithSha256: '2a8648ce3d040302',
  organization: '55040a',
  extendedKeyUsage: '551d25',
  subjectAltName: '551d11',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
} as const

function tagged(tag: number, contents: Buffer): Buffer {
  const { length } = contents
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), contents])
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function objectId(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

/** A bit string of whole bytes. */
function bits(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]))
}

function extension(oid: string, value: Buffer): Buffer {
  return sequence(objectId(oid), tagged(0x04, value))
}

/** GeneralizedTime would be as good, but the rule is UTCTime until 2050. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tagged(0x17, Buffer.from(text.slice(2)))
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

const ecdsaWithSha256 = sequence(objectId(oids.ecdsaWithSha256))

const organization = sequence(objectId(oids.organization), tagged(0x0c, Buffer.from('etcd')))
const name = sequence(tagged(0x31, organization))
