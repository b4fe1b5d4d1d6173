// --cors and --host-whitelist: the rules as tables, and the same bytes to a real etcd and to ours,
// each started with the same flags, whose answers must be equal in status, headers and body.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serverConfig } from '../../../src/server/config.js'
import { admission, hostname } from '../../../src/server/http/access-control.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../../support/real-etcd.js'
import { type Answer, answerTo } from './raw-answer.js'

test.each([
  ['localhost', 'localhost'],
  ['localhost:2379', 'localhost'],
  ['localhost:', 'localhost'],
  [':2379', ''],
  ['[::1]:2379', '::1'],
  // No port to take away, so these are names as they stand (net.SplitHostPort fails on them).
  ['[::1]', '[::1]'],
  ['::1', '::1'],
  ['localhost:::', 'localhost:::'],
  ['[::1]x:2', '[::1]x:2'],
  ['a]b:1', 'a]b:1'],
  ['', ''],
])('the host of %j is %j', (host, name) => {
  expect(hostname(host)).toBe(name)
})

describe('admission', () => {
  const rules = { cors: ['*'], hostWhitelist: ['listed'], isCommonNameUser: true }
  const visit = { host: 'other:1', origin: '', isTls: true, commonName: '', isGateway: true }

  test('over TLS is for every name', () => {
    expect(admission(rules, visit).refusal).toBeUndefined()
    expect(admission(rules, { ...visit, isTls: false }).refusal?.status).toBe(421)
  })

  test('is not for a certificate with a name where users are, at the gateway', () => {
    const named = { ...visit, commonName: 'alice' }
    expect(admission(rules, named).refusal).toMatchObject({
      status: 400,
      body: 'CommonName of client sending a request against gateway will be ignored and not used as expected\n',
    })
    expect(admission(rules, { ...named, isGateway: false }).refusal).toBeUndefined()
    expect(admission({ ...rules, isCommonNameUser: false }, named).refusal).toBeUndefined()
  })
})

test.each([
  ['a', 'URL scheme must be http, https, unix, or unixs: a'],
  ['http://a', 'URL address does not have the form "host:port": http://a'],
  ['*,http://a:1', 'URL scheme must be http, https, unix, or unixs: *'],
])('--cors=%s is refused with the reason that etcd has', (text, reason) => {
  expect(() => serverConfig({ cors: text.split(',') })).toThrow(`--cors: ${reason}`)
})

const origins = 'http://a.example:1,https://b.example:2'
const hosts = 'good,::1,odd:1:2'
const close = 'Connection: close\r\n\r\n'

const requests: readonly (readonly [what: string, bytes: string])[] = [
  ['a name that is not listed', `GET /health HTTP/1.1\r\nHost: bad:1\r\n${close}`],
  [
    'such a name, from an allowed page',
    `GET /health HTTP/1.1\r\nHost: bad\r\nOrigin: http://a.example:1\r\n${close}`,
  ],
  ['such a name, to a path that is none', `GET /none HTTP/1.1\r\nHost: bad\r\n${close}`],
  [
    'such a name, to the gateway',
    `POST /v3/kv/range HTTP/1.1\r\nHost: bad\r\nContent-Length: 2\r\n${close}{}`,
  ],
  [
    'such a name, before a request of a page',
    `OPTIONS /v3/kv/put HTTP/1.1\r\nHost: bad\r\n${close}`,
  ],
  ['a listed name in capitals', `GET /none HTTP/1.1\r\nHost: GOOD\r\n${close}`],
  ['an address with a port', `GET /none HTTP/1.1\r\nHost: [::1]:99\r\n${close}`],
  ['an address without one', `GET /none HTTP/1.1\r\nHost: [::1]\r\n${close}`],
  ['a name with too many colons', `GET /none HTTP/1.1\r\nHost: odd:1:2\r\n${close}`],
  ['no name', `GET /none HTTP/1.1\r\nHost: \r\n${close}`],
  ['no name in HTTP/1.0', 'GET /none HTTP/1.0\r\n\r\n'],
  ['a name in the target', `GET http://bad:7/none HTTP/1.1\r\nHost: good\r\n${close}`],
  ['no page', `GET /none HTTP/1.1\r\nHost: good\r\n${close}`],
  [
    'an allowed page',
    `GET /none HTTP/1.1\r\nHost: good\r\nOrigin: https://b.example:2\r\n${close}`,
  ],
  ['another page', `GET /none HTTP/1.1\r\nHost: good\r\nOrigin: https://b.example\r\n${close}`],
  [
    'a page that asks first',
    `OPTIONS /v3/kv/put HTTP/1.1\r\nHost: good\r\nOrigin: http://a.example:1\r\nAccess-Control-Request-Method: POST\r\n${close}`,
  ],
  [
    'another page that asks first',
    `OPTIONS /none HTTP/1.1\r\nHost: good\r\nOrigin: http://c.example:1\r\n${close}`,
  ],
  [
    'an allowed page, to the gateway',
    `POST /v3/kv/range HTTP/1.1\r\nHost: good\r\nOrigin: http://a.example:1\r\nContent-Length: 2\r\n${close}{}`,
  ],
  ['the wrong method', `POST /health HTTP/1.1\r\nHost: good\r\nContent-Length: 0\r\n${close}`],
]

/** What the gateway itself says is compared elsewhere; here it matters whether it was reached. */
const compared = (answer: Answer, bytes: string): Partial<Answer> =>
  bytes.startsWith('POST /v3/') && !answer.status.startsWith('421')
    ? { status: answer.status, headers: answer.headers.filter((line) => /^access-/.test(line)) }
    : answer

describeWithEtcd('the same bytes get the same answer from etcd', () => {
  let etcd: RealEtcd
  let ours: Embedded
  beforeAll(async () => {
    etcd = await startRealEtcd({ flags: [`--cors=${origins}`, `--host-whitelist=${hosts}`] })
    const config = { cors: origins.split(','), hostWhitelist: hosts.split(',') }
    ours = await startEmbedded({ storage: 'memory', config })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await ours?.[Symbol.asyncDispose]()
  })

  test.each(requests)('%s', async (_what, bytes) => {
    const theirs = await answerTo(etcd.endpoint, bytes)
    expect(compared(await answerTo(ours.endpoint, bytes), bytes)).toEqual(compared(theirs, bytes))
  })
})
