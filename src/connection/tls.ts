// tls.ts: the PEM files of --cert, --key and --cacert, read and checked before anything is
// dialled, with etcdctl's texts. Loaded only when a TLS setting is given.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { TlsOptions } from '../grpc/channel.js'
import type { TlsSettings } from './connection.js'
import { ConnectionError } from './errors.js'

/** Throws a ConnectionError of exit code 128. */
export async function readTls(tls: TlsSettings): Promise<TlsOptions> {
  for (const option of ['cert', 'key', 'cacert'] as const) {
    if (tls[option] === '') throw problem(`empty string is passed to --${option} option`)
  }
  return {
    ...(await readPair(tls)),
    ...(tls.cacert !== undefined && { ca: await readAuthorities(tls.cacert) }),
    ...(tls.serverName !== undefined && { serverName: tls.serverName }),
    ...(tls.insecureSkipVerify && { insecureSkipVerify: true }),
  }
}

async function readPair({ cert, key }: TlsSettings): Promise<Pick<TlsOptions, 'cert' | 'key'>> {
  if (cert === undefined && key === undefined) return {}
  if (cert === undefined || key === undefined) {
    const pair = `[key: ${key ?? ''}, cert: ${cert ?? ''}]`
    throw problem(`KeyFile and CertFile must both be present${pair}`)
  }
  const pair = { cert: await read(cert), key: await read(key) }
  const certificate = firstCertificate(pair.cert)
  if (!/-----BEGIN /.test(pair.key)) throw noPem('key')
  if (!/-----BEGIN (.* )?PRIVATE KEY-----/.test(pair.key)) throw wrongPem(pair.key, 'key')
  let isPair: boolean
  try {
    isPair = certificate.checkPrivateKey(createPrivateKey(pair.key))
  } catch (error) {
    throw problem('tls: failed to parse private key', error)
  }
  if (!isPair) throw problem('tls: private key does not match public key')
  return pair
}

async function readAuthorities(file: string): Promise<string> {
  const pem = await read(file)
  // Go takes such a file for an empty list of authorities, and then no server can be verified:
  // every call runs into its deadline. The reason is known here, so it is said here.
  firstCertificate(pem)
  return pem
}

function firstCertificate(pem: string): X509Certificate {
  if (!/-----BEGIN /.test(pem)) throw noPem('certificate')
  if (!/-----BEGIN CERTIFICATE-----/.test(pem)) throw wrongPem(pem, 'certificate')
  try {
    return new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----')))
  } catch (error) {
    throw problem('x509: malformed certificate', error)
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    throw problem(`open ${file}: ${reason(error as NodeJS.ErrnoException)}`, error)
  }
}

/** The operating system's words, as Go has them. */
function reason({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'no such file or directory'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'is a directory'
  return message
}

const noPem = (what: string): ConnectionError =>
  problem(`tls: failed to find any PEM data in ${what} input`)

function wrongPem(pem: string, what: 'certificate' | 'key'): ConnectionError {
  const found = [...pem.matchAll(/-----BEGIN ([^-]+)-----/g)].map(([, type]) => type ?? '')
  const isOnly = (wanted: RegExp) => found.length === 1 && wanted.test(found[0] ?? '')
  if (what === 'certificate' && isOnly(/PRIVATE KEY$/)) {
    return problem(
      'tls: failed to find certificate PEM data in certificate input, ' +
        'but did find a private key; PEM inputs may have been switched',
    )
  }
  if (what === 'key' && isOnly(/^CERTIFICATE$/)) {
    return problem('tls: found a certificate rather than a key in the PEM for the private key')
  }
  const wanted =
    what === 'key' ? 'PEM block with type ending in "PRIVATE KEY"' : '"CERTIFICATE" PEM block'
  const skipped = `after skipping PEM blocks of the following types: [${found.join(' ')}]`
  return problem(`tls: failed to find ${wanted} in ${what} input ${skipped}`)
}

const problem = (message: string, cause?: unknown): ConnectionError =>
  new ConnectionError(message, { exitCode: 128, ...(cause !== undefined && { cause }) })
