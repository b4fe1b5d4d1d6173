// Messages that are none, are too large or break off: what etcd answers to them is answered here
// too, the call ends, and the server serves on. And requests that are well-formed but absurd: they
// go through the log, and what cannot be applied there would end the member at each start.
import { once } from 'node:events'
import http2 from 'node:http2'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { enums, messages, methods } from '../../src/api/gen/schema.js'
import { frame } from '../../src/grpc/frame.js'
import { encodeJson } from '../../src/server/http/json.js'
import type { Json } from '../../src/storage/exact-json.js'
import { type Ground, groundOf, onBoth } from '../conformance/imitations/ground.js'
import { seededRandom } from '../support/cutting-proxy.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { outcomeOf } from './token-client.js'
import { versionDifferences } from './version-differences.js'

const range = '/etcdserverpb.KV/Range'
const watch = '/etcdserverpb.Watch/Watch'
const keepAlive = '/etcdserverpb.Lease/LeaseKeepAlive'
const request = Buffer.from('0a016b', 'hex') // RangeRequest{key: k}

function announced(length: number, { flag = 0, body = request } = {}): Buffer {
  const head = Buffer.of(flag, 0, 0, 0, 0)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, body])
}

interface Broken {
  path?: string
  head?: Record<string, string>
  bytes: Buffer
  /** The client says no more. */
  isEnd?: boolean
  status: string
}

const noGzip = '12 grpc: Decompressor is not installed for grpc-encoding "gzip"'
const tooLarge = (bytes: number) =>
  `8 grpc: received message larger than max (${bytes} vs. 2097152)`
const compressed = '13 grpc: compressed flag set with identity or empty encoding'
const unary = '13 grpc: error unmarshalling request: '

const broken: Record<string, Broken> = {
  'compressed without an encoding': { bytes: announced(3, { flag: 1 }), status: compressed },
  'compressed with one that nobody knows': {
    head: { 'grpc-encoding': 'gzip' },
    bytes: announced(3, { flag: 1 }),
    status: noGzip,
  },
  'an unknown encoding, though not used': {
    head: { 'grpc-encoding': 'gzip' },
    bytes: frame(request),
    status: noGzip,
  },
  'a flag that is none': {
    bytes: announced(3, { flag: 2 }),
    status: '13 grpc: received unexpected payload format 2',
  },
  'longer than declared': { bytes: announced(2), status: `${unary}unexpected EOF` },
  truncated: { bytes: announced(30), isEnd: true, status: '2 unexpected EOF' },
  'truncated within its head': { bytes: Buffer.alloc(2), isEnd: true, status: '2 unexpected EOF' },
  'no message at all': { bytes: Buffer.alloc(0), isEnd: true, status: '2 EOF' },
  'declared larger than the limit, and not sent': {
    bytes: announced(3_000_000),
    status: tooLarge(3_000_000),
  },
  'declared as large as can be': {
    bytes: announced(0xffffffff),
    status: tooLarge(0xffffffff),
  },
  'a field cut off': {
    bytes: frame(Buffer.from('0aff', 'hex')),
    status: `${unary}unexpected EOF`,
  },
  'a number without end': {
    bytes: frame(Buffer.from('18ffffffffffffffffffffff', 'hex')),
    status: `${unary}proto: integer overflow`,
  },
  'a field of another type': {
    bytes: frame(Buffer.from('0801', 'hex')),
    status: `${unary}proto: wrong wireType = 0 for field Key`,
  },
  'a revocation that is none': {
    path: '/etcdserverpb.Lease/LeaseRevoke',
    bytes: frame(Buffer.from('08', 'hex')),
    status: `${unary}unexpected EOF`,
  },
  'a watch that breaks off': {
    path: watch,
    bytes: announced(30),
    isEnd: true,
    status: '13 unexpected EOF',
  },
  'a watch request that is too large': {
    path: watch,
    bytes: announced(3_000_000),
    status: tooLarge(3_000_000),
  },
}

onBoth({}, (ground) => {
  test.each(Object.entries(broken))('%s', async (_name, one) => {
    expect(await statusOf(ground(), one)).toBe(one.status)
    expect(await ground().client.outcome('Put', { key: Buffer.from('k') })).toBe('ok')
  })

  test.each([
    [watch, '0aff'],
    [keepAlive, '08'],
  ])('%s with a request that is none', async (path, hex) => {
    const status = await statusOf(ground(), { path, bytes: frame(Buffer.from(hex, 'hex')) })
    expect(status).toBe(`13 ${ground().by(versionDifferences.malformedInStream)}`)
    expect(await ground().client.outcome('Range', { key: Buffer.from('k') })).toBe('ok')
  })
})

/** How a call ends that opens with this head and these bytes. */
async function statusOf({ port }: Ground, one: Omit<Broken, 'status'>): Promise<string> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  onTestFinished(() => session.destroy())
  const head = { ':method': 'POST', ':path': one.path ?? range, te: 'trailers' }
  const stream = session.request({ ...head, 'content-type': 'application/grpc', ...one.head })
  stream.on('error', () => {})
  if (one.isEnd) stream.end(one.bytes)
  else stream.write(one.bytes)
  const [headers] = await once(stream, 'response')
  return `${headers['grpc-status']} ${headers['grpc-message']}`
}

describe('well-formed requests with absurd fields', () => {
  let server: Embedded
  let ground: Ground & AsyncDisposable
  let failed: Error | undefined
  beforeAll(async () => {
    server = await startEmbedded({ config: { bcryptCost: 4 } })
    server.server.failed.then((error) => {
      failed = error
    })
    ground = await groundOf(server.port)
  })
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  // Those that wait for something by their nature, or after which nobody else gets in.
  const left = /AuthEnable|Lock\/Lock|Campaign|Member(Add|Remove|Update)/
  const paths = Object.keys(methods).filter(
    (path) => methods[path]?.kind === 'unary' && !left.test(path),
  )

  test.each([1, 2, 3, 4])('are answered and forgotten (seed %i)', async (seed) => {
    const random = seededRandom(seed)
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 8; round++) {
      for (const path of paths) {
        const type = methods[path]?.request ?? ''
        const message = encodeJson(type, absurd(type, random, 0))
        const outcome = await outcomeOf(ground.channel.unary(path, message, { deadlineMs: 5_000 }))
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    expect(failed).toBeUndefined()
    expect(outcomes.get('ok')).toBeGreaterThan(paths.length)
    // What is Unknown has etcd's words, and not those of a reader of ours that fell over.
    const unknown = [...outcomes.keys()].filter((outcome) => outcome.startsWith('Unknown'))
    const told = /^Unknown: (etcdserver: |election: |bcrypt: |"leader" field must be provided)/
    expect(unknown.filter((outcome) => !told.test(outcome))).toEqual([])
    expect(await ground.client.outcome('Put', { key: Buffer.from('k') })).toBe('ok')
  })

  test('and the log that has them can be read again', async () => {
    await server.restart()
    await using again = await groundOf(server.port)
    expect(await again.client.outcome('Put', { key: Buffer.from('k') })).toBe('ok')
  })
})

const numbers = ['0', '1', '-1', String(2n ** 53n), String(2n ** 63n - 1n), String(-(2n ** 63n))]
const texts = ['', '\0', 'a', '/', '\u00ff'.repeat(300)]

/** A message in the gateway's JSON, with at most a few levels of messages within. */
function absurd(type: string, random: (limit: number) => number, depth: number): Json {
  const message = new Map<string, Json>()
  for (const [name, text] of Object.entries(messages[type] ?? {})) {
    if (random(3) === 0) continue
    const element = text.replace(/^repeated /, '')
    const one = (): Json => single(element, random, depth)
    if (messages[element] !== undefined && depth > 2) continue
    message.set(name, element === text ? one() : Array.from({ length: random(4) }, one))
  }
  return message
}

function single(type: string, random: (limit: number) => number, depth: number): Json {
  const oneOf = <T>(list: readonly T[]): T => list[random(list.length)] as T
  if (messages[type] !== undefined) return absurd(type, random, depth + 1)
  if (enums[type] !== undefined) return oneOf([0, 1, 2, 3, 99, -1])
  if (type === 'bool') return random(2) === 0
  if (type === 'string') return oneOf(texts)
  if (type === 'bytes') return Buffer.from(oneOf(texts)).toString('base64')
  if (type === 'int64') return oneOf(numbers)
  return oneOf(['0', '1', type.endsWith('64') ? String(2n ** 64n - 1n) : '7'])
}
