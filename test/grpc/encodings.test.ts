// encodings.test.ts: the small texts of the protocol: deadlines, percent-encoded messages,
// metadata.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from '../../src/grpc/backoff.js'
import { protocolOf } from '../../src/grpc/first-bytes.js'
import { metadataOf } from '../../src/grpc/metadata.js'
import { percentDecoded, percentEncoded } from '../../src/grpc/percent.js'
import { RpcError, Status, statusName, statusOfHttp } from '../../src/grpc/status.js'
import { encodeTimeout, parseTimeout } from '../../src/grpc/timeout.js'

test('a timeout is written in the finest unit that fits eight digits, rounded up', () => {
  const cases: [number, string][] = [
    [5000, '5000m'],
    [0.2, '1m'],
    [-3, '1m'],
    [1000.1, '1001m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [1e11, '1666667M'],
    [1e13, '2777778H'],
  ]
  for (const [ms, text] of cases) expect(encodeTimeout(ms)).toBe(text)
})

test('every unit of a timeout is read, and nothing else', () => {
  const cases: [string, number | undefined][] = [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5000u', 5],
    ['6000000n', 6],
    ['99999999S', 99_999_999_000],
    ['', undefined],
    ['m', undefined],
    ['5', undefined],
    ['-5m', undefined],
    ['5x', undefined],
    ['1.5S', undefined],
    ['123456789m', undefined],
  ]
  for (const [text, ms] of cases) expect(parseTimeout(text), text).toEqual(ms)
})

test('a status message survives the header, whatever is in it', () => {
  expect(percentEncoded('etcdserver: key not found')).toBe('etcdserver: key not found')
  expect(percentEncoded('100 % größer\n')).toBe('100 %25 gr%C3%B6%C3%9Fer%0A')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = percentEncoded(text)
      expect(encoded).toMatch(/^[ -~]*$/)
      expect(percentDecoded(encoded)).toBe(text)
    }),
  )
})

test('an escape that is none is left as it is', () => {
  for (const text of ['%', '%4', 'a%zz', '100% of it', '%%']) {
    expect(percentDecoded(text)).toBe(text)
  }
  expect(percentDecoded('%41%4')).toBe('A%4')
})

test('three bytes tell the protocol', () => {
  const cases: [string | number[], string | undefined][] = [
    ['', undefined],
    ['P', undefined],
    ['PR', undefined],
    ['PRI', 'http2'],
    ['PUT', 'http1'],
    ['GET / HTTP/1.1', 'http1'],
    ['get', 'unknown'],
    [[0x16], 'tls'],
    [[0], 'unknown'],
    ['P\0\0', 'unknown'],
  ]
  for (const [bytes, protocol] of cases) {
    const first = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
    expect(protocolOf(first), String(bytes)).toBe(protocol)
  }
})

test('the headers of HTTP/2 and gRPC are no metadata', () => {
  const headers = {
    ':path': '/a/b',
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': '1S',
    token: 'abc.17',
    hasleader: 'true',
  }
  expect(metadataOf(headers)).toEqual({ token: 'abc.17', hasleader: 'true' })
})

test('pauses between rounds grow, jitter, and have an end', () => {
  const middle = { below: () => 500, bytes: (count: number) => Buffer.alloc(count) }
  const low = { ...middle, below: () => 0 }
  const pauses = [1, 2, 3, 9, 10, 1000].map((failures) => Math.round(backoffMs(failures, middle)))
  expect(pauses).toEqual([100, 160, 256, 4295, 5000, 5000])
  expect(backoffMs(1, low)).toBe(80)
})

test('an error names its code as Go does', () => {
  const error = new RpcError(Status.invalidArgument, 'etcdserver: key is not provided')
  expect(error.message).toBe(
    'rpc error: code = InvalidArgument desc = etcdserver: key is not provided',
  )
  expect(statusName(Status.ok)).toBe('OK')
  expect(statusName(Status.unauthenticated)).toBe('Unauthenticated')
})

test('an HTTP status stands for the gRPC status of the specification', () => {
  const cases = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14, 500: 2 }
  for (const [http, code] of Object.entries(cases)) expect(statusOfHttp(Number(http))).toBe(code)
})
