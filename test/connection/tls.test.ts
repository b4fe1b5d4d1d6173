// The PEM files of the flags: what is wrong with them is said before anything is dialled, in the
// words that etcdctl has for it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TlsSettings } from '../../src/connection/connect.js'
import { readTls } from '../../src/connection/tls.js'
import { failure } from './connecting.js'

const none: TlsSettings = { insecureSkipVerify: false, insecureTransport: true }
const fixture = (name: string): string => path.join(import.meta.dirname, '../../fixtures/tls', name)
const crt = fixture('client.crt')
const key = fixture('client.key')
const ca = fixture('ca.crt')

let dir: string
const inDir = (name: string): string => path.join(dir, name)

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'tls-'))
  const unfit = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  await writeFile(inDir('text.txt'), 'no PEM\n')
  await writeFile(inDir('unfit.crt'), unfit)
  await writeFile(inDir('both.crt'), (await readFile(key, 'utf8')) + (await readFile(crt, 'utf8')))
})
afterAll(() => rm(dir, { recursive: true }))

test('the files are read and the other settings kept', async () => {
  const options = { ...none, cert: crt, key, cacert: ca, serverName: 'x', insecureSkipVerify: true }
  expect(await readTls(options)).toEqual({
    cert: await readFile(crt, 'utf8'),
    key: await readFile(key, 'utf8'),
    ca: await readFile(ca, 'utf8'),
    serverName: 'x',
    insecureSkipVerify: true,
  })
  expect(await readTls({ ...none, insecureTransport: false })).toEqual({})
})

test('a certificate behind other blocks is found', async () => {
  const { cert } = await readTls({ ...none, cert: inDir('both.crt'), key })
  expect(cert).toContain('BEGIN CERTIFICATE')
})

const tlsCases: readonly (readonly [Partial<TlsSettings>, string])[] = [
  [{ cert: '' }, 'empty string is passed to --cert option'],
  [{ key: '' }, 'empty string is passed to --key option'],
  [{ cacert: '' }, 'empty string is passed to --cacert option'],
  [{ cert: 'c' }, 'KeyFile and CertFile must both be present[key: , cert: c]'],
  [{ key: 'k' }, 'KeyFile and CertFile must both be present[key: k, cert: ]'],
  [{ cert: 'DIR/no', key }, 'open DIR/no: no such file or directory'],
  [{ cert: crt, key: 'DIR/no' }, 'open DIR/no: no such file or directory'],
  [{ cacert: 'DIR/no' }, 'open DIR/no: no such file or directory'],
  [{ cert: 'DIR/text.txt', key }, 'tls: failed to find any PEM data in certificate input'],
  [{ cert: crt, key: 'DIR/text.txt' }, 'tls: failed to find any PEM data in key input'],
  [{ cacert: 'DIR/text.txt' }, 'tls: failed to find any PEM data in certificate input'],
  [{ cert: 'DIR/unfit.crt', key }, 'x509: malformed certificate'],
  [
    { cert: key, key: crt },
    'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
  ],
  [
    { cert: crt, key: crt },
    'tls: found a certificate rather than a key in the PEM for the private key',
  ],
  [{ cert: ca, key }, 'tls: private key does not match public key'],
]

test.each(tlsCases)('%j: %s', async (settings, message) => {
  const inTestDir = Object.fromEntries(
    Object.entries(settings).map(([name, file]) => [name, String(file).replace('DIR', dir)]),
  )
  const error = await failure(readTls({ ...none, ...inTestDir }))
  expect(error).toMatchObject({ exitCode: 128, message: message.replace('DIR', dir) })
})
