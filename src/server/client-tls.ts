// client-tls.ts: how the client port proves itself and whom it lets in: the files of --cert-file,
// --key-file and --trusted-ca-file, read and checked before anything listens, or a certificate of
// our own with --auto-tls, which is kept in the data directory so that it stays the same.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import path from 'node:path'
import type { ServerTls } from '../grpc/server.js'
import type { Files } from '../platform/files.js'
import { ConfigError, listenAddress, type ServerConfig } from './config.js'
import type { Platform } from './platform.js'
import { type SelfSigned, selfSigned } from './self-signed.js'
import { tlsProtocol } from './tls-protocol.js'

/** Undefined: nothing was configured, so only plain URLs can be listened on. @throws ConfigError */
export async function clientTls(
  config: ServerConfig,
  platform: Platform,
): Promise<ServerTls | undefined> {
  const { certFile, keyFile, trustedCaFile, clientCertAuth, autoTls } = config
  const protocol = tlsProtocol(config)
  if (certFile === undefined && keyFile === undefined) {
    return autoTls ? { ...(await ownPair(config, platform)), protocol } : undefined
  }
  if (clientCertAuth && trustedCaFile === undefined) {
    throw new ConfigError('--client-cert-auth needs --trusted-ca-file')
  }
  const pair = await readPair({ certFile, keyFile, trustedCaFile }, platform.files)
  return { ...pair, protocol }
}

export interface PairFiles {
  certFile: string | undefined
  keyFile: string | undefined
  trustedCaFile: string | undefined
}

/** What a port shows and whom it lets in, from files. @throws ConfigError */
export async function readPair(
  { certFile, keyFile, trustedCaFile }: PairFiles,
  files: Files,
): Promise<ServerTls> {
  if (certFile === undefined || keyFile === undefined) {
    const pair = `[key: ${keyFile ?? ''}, cert: ${certFile ?? ''}]`
    throw new ConfigError(`KeyFile and CertFile must both be present${pair}`)
  }
  const pair = { cert: await readPem(files, certFile), key: await readPem(files, keyFile) }
  checkPair(pair, { certFile, keyFile })
  if (trustedCaFile === undefined) return pair
  const ca = await readPem(files, trustedCaFile)
  parsed(ca, trustedCaFile)
  // As in etcd: whoever names an authority wants clients to be vouched for by it.
  return { ...pair, ca, requireClientCert: true }
}

function checkPair(
  { cert, key }: SelfSigned,
  { certFile, keyFile }: { certFile: string; keyFile: string },
): void {
  const certificate = parsed(cert, certFile)
  let isPair: boolean
  try {
    isPair = certificate.checkPrivateKey(createPrivateKey(key))
  } catch (error) {
    throw new ConfigError(`${keyFile}: not a private key in PEM form`, { cause: error })
  }
  if (!isPair) throw new ConfigError(`${keyFile} is not the private key of ${certFile}`)
}

function parsed(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new ConfigError(`${file}: not a certificate in PEM form`, { cause: error })
  }
}

async function readPem(files: Files, file: string): Promise<string> {
  try {
    return (await files.readFile(file)).toString()
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}

/** Made once; a member without a directory makes a new one at each start. */
async function ownPair(config: ServerConfig, platform: Platform): Promise<ServerTls> {
  const { files, clock, random, log } = platform
  const hosts = config.listenClientUrls.flatMap((url) => {
    const { at } = listenAddress(url)
    return 'host' in at ? [at.host] : []
  })
  const make = () =>
    selfSigned([...new Set(hosts)], { nowMs: clock.wall(), serial: random.bytes(15) })
  if (config.dataDir === undefined) return make()
  const dir = path.join(config.dataDir, 'fixtures', 'client')
  const [certFile, keyFile] = [path.join(dir, 'cert.pem'), path.join(dir, 'key.pem')]
  if (await files.exists(certFile)) {
    return { cert: await readPem(files, certFile), key: await readPem(files, keyFile) }
  }
  const pair = make()
  await files.makeDir(dir)
  await writeWhole(files, keyFile, pair.key)
  await writeWhole(files, certFile, pair.cert)
  log.info('made a certificate for clients', { 'cert-file': certFile })
  return pair
}

async function writeWhole(files: Files, file: string, text: string): Promise<void> {
  const part = `${file}.part`
  await files.remove(part)
  const handle = await files.open(part, 'create')
  try {
    await handle.write([Buffer.from(text)], 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(part, file)
}
