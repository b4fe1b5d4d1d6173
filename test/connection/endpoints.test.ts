// Every form of endpoint, and who decides about TLS.
import { expect, test } from 'vitest'
import type { TlsSettings } from '../../src/connection/connect.js'
import { parseEndpoints } from '../../src/connection/endpoints.js'
import { ConnectionError } from '../../src/connection/errors.js'

const noTls: TlsSettings = { insecureSkipVerify: false, insecureTransport: true }

test.each([
  ['127.0.0.1:2379', { host: '127.0.0.1', port: 2379 }, false],
  [' localhost:2379 ', { host: 'localhost', port: 2379 }, false],
  [':2379', { host: 'localhost', port: 2379 }, false],
  ['[::1]:2379', { host: '::1', port: 2379 }, false],
  ['http://a.example:80', { host: 'a.example', port: 80 }, false],
  ['http://a:80/path?query#part', { host: 'a', port: 80 }, false],
  ['http://user:word@a:80', { host: 'a', port: 80 }, false],
  ['HTTPS://a:443', { host: 'a', port: 443 }, true],
  ['https://[::1]:443/', { host: '::1', port: 443 }, true],
  ['unix:a/b', { path: 'a/b' }, false],
  ['unix:/a/b', { path: '/a/b' }, false],
  ['unix://a/b', { path: 'a/b' }, false],
  ['unix:///a/b', { path: '/a/b' }, false],
  ['unixs:a/b', { path: 'a/b' }, true],
  ['unixs:///a/b', { path: '/a/b' }, true],
])('%s is understood', (text, address, secure) => {
  expect(parseEndpoints([text], noTls)).toEqual({ addresses: [address], secure, problems: [] })
})

test.each([
  ['localhost', 'endpoint "localhost" has no port'],
  ['[::1]', 'endpoint "[::1]" has no port'],
  ['http://localhost/', 'endpoint "http://localhost/" has no port'],
  ['a:b', 'endpoint "a:b" is no HOST:PORT'],
  ['::1:2379', 'endpoint "::1:2379" is no HOST:PORT'],
  ['a:65536', 'endpoint "a:65536" has the impossible port 65536'],
  ['ftp://a:21', 'endpoint "ftp://a:21" has the unknown scheme ftp'],
  ['unix:', 'endpoint "unix:" names no socket'],
  ['', 'endpoint "" has no port'],
])('%j leads nowhere, and it is known why', (text, problem) => {
  const { addresses, problems } = parseEndpoints([text], noTls)
  expect(addresses).toEqual([])
  expect(problems).toEqual([problem])
})

test('no endpoints are an error of exit code 2', () => {
  expect(() => parseEndpoints([], noTls)).toThrow(
    expect.objectContaining({ message: 'etcdclient: no available endpoints', exitCode: 2 }),
  )
  expect(() => parseEndpoints([], noTls)).toThrow(ConnectionError)
})

test('the first endpoint decides about TLS for all of them', () => {
  expect(parseEndpoints(['https://a:1', 'http://b:2'], noTls).secure).toBe(true)
  expect(parseEndpoints(['http://a:1', 'https://b:2'], noTls).secure).toBe(false)
  expect(parseEndpoints(['http://a:1', 'b:2'], noTls).addresses).toHaveLength(2)
})

test.each([
  { cert: 'c', key: 'k' },
  { cacert: 'ca' },
  { serverName: 'name' },
  { insecureSkipVerify: true },
  { insecureTransport: false },
])('with %j an endpoint that does not say is met with TLS', (settings) => {
  const tls = { ...noTls, ...settings }
  expect(parseEndpoints(['a:1'], tls).secure).toBe(true)
  expect(parseEndpoints(['unix:a'], tls).secure).toBe(true)
  expect(parseEndpoints(['http://a:1'], tls).secure).toBe(false)
})

test('an endpoint that leads nowhere does not spoil the others', () => {
  const { addresses, problems } = parseEndpoints(['nowhere', 'a:1'], noTls)
  expect(addresses).toEqual([{ host: 'a', port: 1 }])
  expect(problems).toHaveLength(1)
})
