// The client port over TLS: whom it lets in, as whom, and with what it refuses to start.
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServerConfig } from '../../src/server/config.js'
import { selfSigned } from '../../src/server/self-signed.js'
import { run } from '../commands/run.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'

const fixture = (name: string): string => path.join(import.meta.dirname, '../../fixtures/tls', name)

const url = 'https://127.0.0.1:0'
const files = { certFile: fixture('server.crt'), keyFile: fixture('server.key') }

const start = (config: Partial<ServerConfig>, storage: 'memory' | 'disk' = 'memory') =>
  startEmbedded({ storage, config: { listenClientUrls: [url], ...config } })

/** As tsctl connects, with the flags given. */
const tsctl = (server: Embedded, ...words: string[]) =>
  run([...words, `--endpoints=${address(server)}`], { connection: 'real' })

const address = ({ endpoint }: Embedded): string => `https://${endpoint.replace('https://', '')}`

const ca = `--cacert=${fixture('ca.crt')}`
const own = [`--cert=${fixture('client.crt')}`, `--key=${fixture('client.key')}`]

describe('a server with a certificate', () => {
  let server: Embedded
  beforeAll(async () => {
    server = await start(files)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('serves clients that trust its authority', async () => {
    expect((await tsctl(server, 'put', 'k', 'v', ca)).stdout.toString()).toBe('OK\n')
    expect((await tsctl(server, 'get', 'k', ca)).stdout.toString()).toBe('k\nv\n')
  })

  test('is refused by those that do not', async () => {
    const { code, stderr } = await tsctl(server, 'get', 'k', '--command-timeout=5s')
    expect(code).toBe(1)
    expect(stderr).toContain('certificate')
  })

  test('serves HTTP/1.1 on the same port', async () => {
    const body = await new Promise((resolve, reject) => {
      const options = { ca: undefined, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
      https
        .get(`${address(server)}/health`, options, (response) => {
          response.on('data', (piece: Buffer) => resolve(piece.toString()))
        })
        .on('error', reject)
    })
    expect(body).toBe('{"health":"true","reason":""}')
  })
})

describe('a server that names an authority for clients', () => {
  let server: Embedded
  beforeAll(async () => {
    server = await start({ ...files, trustedCaFile: fixture('ca.crt'), clientCertAuth: true })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('lets nobody in without a certificate', async () => {
    expect((await tsctl(server, 'get', 'k', ca, '--command-timeout=1s')).code).toBe(1)
    expect((await tsctl(server, 'get', 'k', ca, ...own)).code).toBe(0)
  })

  test('takes the common name for the user', async () => {
    for (const words of [
      ['user', 'add', 'root:pw'],
      ['role', 'add', 'root'],
      ['user', 'grant-role', 'root', 'root'],
      ['auth', 'enable'],
    ]) {
      expect((await tsctl(server, ...words, ca, ...own)).code).toBe(0)
    }
    // The certificate says root, and root may do this.
    expect((await tsctl(server, 'put', 'k', 'v', ca, ...own)).stdout.toString()).toBe('OK\n')
    expect((await tsctl(server, 'auth', 'disable', ca, ...own)).code).toBe(0)
  })
})

describe('--auto-tls', () => {
  test('makes a certificate once, in the directory, that a client can be told to trust', async () => {
    await using server = await start({ autoTls: true }, 'disk')
    const file = path.join(server.dataDir, 'fixtures/client/cert.pem')
    const made = await readFile(file, 'utf8')
    expect((await tsctl(server, 'put', 'k', 'v', `--cacert=${file}`)).stdout.toString()).toBe(
      'OK\n',
    )
    await server.restart()
    expect(await readFile(file, 'utf8')).toBe(made)
    expect((await tsctl(server, 'get', 'k', `--cacert=${file}`)).code).toBe(0)
  })

  test('the certificate is one that others can read, for every kind of host', () => {
    const hosts = ['localhost', '127.0.0.1', '::1', '2001:db8::7']
    const serial = Buffer.alloc(15, 7)
    const { cert, key } = selfSigned(hosts, { nowMs: Date.UTC(2026, 0, 2), serial })
    const read = new X509Certificate(cert)
    expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    expect(read.verify(read.publicKey)).toBe(true)
    expect(read.checkHost('localhost')).toBe('localhost')
    for (const ip of hosts.slice(1)) expect(read.checkIP(ip)).toBe(ip)
    expect(read.checkIP('127.0.0.2')).toBeUndefined()
    expect([read.validFrom, read.validTo]).toEqual([
      'Jan  1 00:00:00 2026 GMT',
      'Jan  2 00:00:00 2027 GMT',
    ])
  })
})

describe('settings that cannot work are refused before anything listens', () => {
  const absent = '/nowhere/server.crt'
  test.each<[string, Partial<ServerConfig>, string]>([
    ['https without files', {}, 'TLS needs --cert-file and --key-file, or --auto-tls'],
    [
      'a certificate alone',
      { certFile: absent },
      `KeyFile and CertFile must both be present[key: , cert: ${absent}]`,
    ],
    ['a file that is not there', { ...files, certFile: absent }, `cannot read ${absent}: ENOENT`],
    [
      'no certificate',
      { ...files, certFile: fixture('server.key') },
      'not a certificate in PEM form',
    ],
    ['no key', { ...files, keyFile: fixture('server.crt') }, 'not a private key in PEM form'],
    [
      'a key of another certificate',
      { ...files, keyFile: fixture('client.key') },
      'is not the private key of',
    ],
    [
      'client certificates without an authority',
      { ...files, clientCertAuth: true },
      '--client-cert-auth needs --trusted-ca-file',
    ],
    [
      'an authority that is none',
      { ...files, trustedCaFile: fixture('server.key') },
      'not a certificate in PEM form',
    ],
  ])('%s', async (_what, config, message) => {
    await expect(start(config)).rejects.toThrow(message)
  })

  test('an empty file is no certificate', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'tls-'))
    try {
      await writeFile(path.join(dir, 'empty'), '')
      const config = { ...files, certFile: path.join(dir, 'empty') }
      await expect(start(config)).rejects.toThrow('not a certificate in PEM form')
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})

test('HTTP apart from gRPC: the client port speaks gRPC alone', async () => {
  const [port] = await (await import('../support/real-etcd.js')).freePorts(1)
  await using server = await startEmbedded({
    storage: 'memory',
    config: { listenClientHttpUrls: [`http://127.0.0.1:${port}`] },
  })
  const health = await fetch(`http://127.0.0.1:${port}/health`)
  expect(health.status).toBe(200)
  await expect(fetch(`http://${server.endpoint}/health`)).rejects.toThrow()
  const { code } = await run(['get', 'k', `--endpoints=${server.endpoint}`], { connection: 'real' })
  expect(code).toBe(0)
})

describe('versions and suites', () => {
  const suites = [
    'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
    'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  ]

  /** What a handshake ends in: the suite that was agreed on, or `refused`. */
  async function agreed(endpoint: string, options: ConnectionOptions): Promise<string> {
    const { host = '', port } = new URL(`https://${endpoint.replace('https://', '')}`)
    const at = { host: host.replace(/:.*/, ''), port: Number(port), rejectUnauthorized: false }
    const socket = connect({ ...at, ...options })
    return new Promise((resolve) => {
      socket.on('secureConnect', () => {
        resolve(socket.getCipher().standardName)
        socket.destroy()
      })
      socket.on('error', () => resolve('refused'))
    })
  }
  const asked: readonly ConnectionOptions[] = [
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' },
    { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' },
  ]
  const answers = [...suites, 'refused', 'TLS_AES_128_GCM_SHA256']
  const allAgreed = (endpoint: string) =>
    Promise.all(asked.map((options) => agreed(endpoint, options)))

  test('are those that were chosen; the suites of TLS 1.3 are always there', async () => {
    await using server = await start({ ...files, cipherSuites: suites })
    expect(await allAgreed(server.endpoint)).toEqual(answers)
  })

  describeWithEtcd('as those of etcd', () => {
    test('are the same', async () => {
      const { certFile, keyFile } = files
      const pair = [`--cert-file=${certFile}`, `--key-file=${keyFile}`]
      const flags = [...pair, `--cipher-suites=${suites}`]
      await using etcd = await startRealEtcd({ flags, scheme: 'https' })
      expect(await allAgreed(etcd.endpoint)).toEqual(answers)
    })
  })

  test('may be those of TLS 1.3 alone, or of TLS 1.2 alone', async () => {
    await using newest = await start({ ...files, tlsMinVersion: 'TLS1.3' })
    expect(await agreed(newest.endpoint, { maxVersion: 'TLSv1.2' })).toBe('refused')
    await using older = await start({ ...files, tlsMaxVersion: 'TLS1.2' })
    expect(await agreed(older.endpoint, { minVersion: 'TLSv1.3' })).toBe('refused')
  })

  test.each([
    [{ cipherSuites: ['TLS_NULL'] }, 'unexpected TLS cipher suite "TLS_NULL"'],
    [
      { tlsMinVersion: 'TLS1.3', tlsMaxVersion: 'TLS1.2' },
      'min version (TLS1.3) is greater than max version (TLS1.2)',
    ],
    [
      { tlsMinVersion: 'TLS1.3', cipherSuites: suites },
      'cipher suites cannot be configured when only TLS1.3 is enabled',
    ],
  ] as const)('%j is refused', async (config, message) => {
    await expect(start({ ...files, ...config })).rejects.toThrow(message)
  })
})
