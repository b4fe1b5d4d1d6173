// The JSON gateway: the same requests to the bundled server and to the gateway of a real etcd 3.4,
// whose answers must be equal but for ids and for what the version changed; and what only ours can
// be asked, such as fields that 3.4 does not know.
import { once } from 'node:events'
import http from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../../support/real-etcd.js'

let ours: Embedded
beforeAll(async () => {
  ours = await startEmbedded({ storage: 'memory' })
})
afterAll(async () => {
  await ours?.[Symbol.asyncDispose]()
})

interface Answer {
  status: number
  body: string
}

function post(endpoint: string, path: string, body: string, method = 'POST'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(`http://${endpoint}${path}`, { method }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        const { statusCode: status = 0 } = response
        resolve({ status, body: Buffer.concat(pieces).toString() })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const b64 = (text: string): string => Buffer.from(text).toString('base64')

/** One request after the other; each server sees the whole list, in this order. */
const requests: readonly (readonly [path: string, body: unknown])[] = [
  ['/v3/kv/put', { key: b64('a'), value: b64('1') }],
  ['/v3/kv/put', { key: b64('a'), value: b64('2'), prev_kv: true }],
  ['/v3/kv/put', { key: b64('a'), value: b64('3'), prevKv: true }],
  ['/v3/kv/put', { key: b64('b'), value: '', unknown: { deep: [1] } }],
  ['/v3/kv/range', { key: b64('a') }],
  ['/v3/kv/range', { key: b64('a'), range_end: b64('z'), limit: '1' }],
  ['/v3/kv/range', { key: b64('a'), rangeEnd: b64('z'), limit: 1, sort_order: 'DESCEND' }],
  ['/v3/kv/range', { key: b64('a'), range_end: b64('z'), sort_target: 3, sort_order: 2 }],
  ['/v3/kv/range', { key: b64('a'), range_end: b64('z'), count_only: true }],
  ['/v3/kv/range', { key: b64('none') }],
  ['/v3/kv/range', { key: b64('a'), revision: '2' }],
  ['/v3/kv/range', { key: b64('a'), revision: '99' }],
  ['/v3/kv/range', {}],
  ['/v3/kv/put', { value: b64('no key') }],
  ['/v3/kv/put', { key: b64('a'), lease: '12345' }],
  [
    '/v3/kv/txn',
    {
      compare: [{ key: b64('a'), target: 'VALUE', result: 'EQUAL', value: b64('3') }],
      success: [
        { request_put: { key: b64('c'), value: b64('4') } },
        { requestRange: { key: b64('a'), rangeEnd: b64('z') } },
        { request_delete_range: { key: b64('b'), prev_kv: true } },
      ],
    },
  ],
  [
    '/v3/kv/txn',
    {
      compare: [{ key: b64('a'), target: 'VERSION', result: 'GREATER', version: '9' }],
      failure: [{ request_range: { key: b64('c') } }],
    },
  ],
  ['/v3/kv/deleterange', { key: b64('a'), range_end: b64('z'), prev_kv: true }],
  ['/v3/kv/deleterange', { key: b64('a') }],
  ['/v3/lease/grant', { TTL: '60', ID: '77' }],
  ['/v3/lease/grant', { TTL: 60, ID: 77 }],
  ['/v3/kv/put', { key: b64('leased'), lease: '77' }],
  ['/v3/lease/timetolive', { ID: '77', keys: true }],
  ['/v3/kv/lease/timetolive', { ID: '78' }],
  ['/v3/lease/leases', {}],
  ['/v3/kv/lease/leases', {}],
  ['/v3/lease/keepalive', { ID: '77' }],
  ['/v3/lease/revoke', { ID: '77' }],
  ['/v3/kv/lease/revoke', { ID: '77' }],
  ['/v3/kv/compaction', { revision: '5' }],
  ['/v3/kv/compaction', { revision: '5' }],
  ['/v3/kv/range', { key: b64('a'), revision: '2' }],
  ['/v3/maintenance/alarm', {}],
  ['/v3/maintenance/defragment', {}],
  ['/v3/lock/lock', { name: b64('L'), lease: '9' }],
  ['/v3/election/leader', { name: b64('E') }],
  ['/v3/lock/unlock', {}],
  ['/v3/cluster/member/remove', { ID: '1' }],
  ['/v3beta/kv/range', { key: b64('leased') }],
]

const alarmHeader = '{"header":{"cluster_id":"1","member_id":"1","revision":"9","raft_term":"2"}}'

/** Differences by version, each with the section of the contract that has it. */
const versionDifferences: readonly {
  why: string
  /** Makes 3.4's answer ours. */
  apply(answer: Answer, path: string): Answer
}[] = [
  {
    // 4, JSON gateway, Errors: up to 3.5 {"error","message","code"}, then {"code","message"}.
    why: 'the shape of errors',
    apply: ({ status, body }) => {
      const { code, message, error } = JSON.parse(body)
      return error === undefined
        ? { status, body }
        : { status, body: JSON.stringify({ code, message }) }
    },
  },
  {
    // 4, Status map: very old gateways map 9 to 412, 8 to 403, 4 to 408.
    why: 'the status of failed preconditions',
    apply: ({ status, body }) => ({ status: status === 412 ? 400 : status, body }),
  },
  {
    // 3.0, Header fill: Alarm has one from 3.5 on.
    why: 'the header of an alarm',
    apply: ({ status, body }, path) => ({
      status,
      body: path === '/v3/maintenance/alarm' ? alarmHeader : body,
    }),
  },
]

/** Ids and terms are of the server that was asked. Real etcd escapes nothing that we do not. */
function masked(body: string): unknown {
  const text = body.trimEnd().replaceAll(/"(cluster_id|member_id|raft_term)":"\d+"/g, '"$1":"X"')
  return text === '' ? '' : JSON.parse(text)
}

describeWithEtcd('the gateway answers as that of etcd', () => {
  let etcd: RealEtcd
  let fresh: Embedded
  beforeAll(async () => {
    etcd = await startRealEtcd()
    fresh = await startEmbedded({ storage: 'memory' })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await fresh?.[Symbol.asyncDispose]()
  })

  test.each(requests.map(([path, body], at) => [at, path, JSON.stringify(body)] as const))(
    '%d: %s %s',
    async (_at, path, body) => {
      const theirs = versionDifferences.reduce(
        (answer, { apply }) => apply(answer, path),
        await post(etcd.endpoint, path, body),
      )
      const answer = await post(fresh.endpoint, path, body)
      expect(masked(answer.body)).toEqual(masked(theirs.body))
      expect(answer.status).toBe(theirs.status)
    },
  )
})

describe('requests', () => {
  const ask = (path: string, body: string, method?: string) =>
    post(ours.endpoint, path, body, method)

  test('may have no body, which is an empty message', async () => {
    const { status, body } = await ask('/v3/cluster/member/list', '')
    expect(status).toBe(200)
    expect(JSON.parse(body).members).toMatchObject([
      { ID: '10276657743932975437', name: 'default' },
    ])
  })

  test.each([
    ['no JSON', '{"key":', 'the body is not JSON'],
    [
      'bytes that are no base64',
      '{"key":"%%"}',
      'invalid value for field etcdserverpb.RangeRequest.key: "%%"',
    ],
    [
      'a word for a number',
      '{"key":"YQ==","limit":"many"}',
      'invalid value for field etcdserverpb.RangeRequest.limit: "many"',
    ],
    [
      'a number that is too large',
      '{"key":"YQ==","limit":9223372036854775808}',
      'invalid value for field etcdserverpb.RangeRequest.limit: 9223372036854775808',
    ],
    [
      'an unknown name of an enum',
      '{"key":"YQ==","sort_order":"UP"}',
      'invalid value for field etcdserverpb.RangeRequest.sort_order: "UP"',
    ],
    ['a list for a message', '[]', 'invalid value for field etcdserverpb.RangeRequest: a list'],
  ])('with %s are refused', async (_what, text, message) => {
    const { status, body } = await ask('/v3/kv/range', text)
    expect({ status, ...JSON.parse(body) }).toEqual({ status: 400, code: 3, message })
  })

  test.each([
    ['/v3/kv/none', 'POST', 404, { code: 5, message: 'Not Found' }],
    ['/v3/kv/range', 'GET', 501, { code: 12, message: 'Method Not Allowed' }],
  ])('to %s by %s get %d', async (path, method, status, error) => {
    const answer = await ask(path, '', method)
    expect({ status: answer.status, ...JSON.parse(answer.body) }).toEqual({ status, ...error })
  })

  test('over the limit are refused before they are read to the end', async () => {
    const { status, body } = await ask('/v3/kv/put', `{"key":"${'A'.repeat(5 * 1024 * 1024)}"}`)
    expect(status).toBe(429)
    expect(JSON.parse(body).message).toMatch(/^grpc: received message larger than max/)
  })

  test('keep all 64 bits of a number', async () => {
    const grant = await ask('/v3/lease/grant', '{"TTL":60,"ID":9007199254740993}')
    expect(JSON.parse(grant.body)).toMatchObject({ ID: '9007199254740993', TTL: '60' })
  })
})

test('a token of the gateway opens it, in the header Authorization', async () => {
  await using closed = await startEmbedded({ storage: 'memory', config: { bcryptCost: 4 } })
  const ask = async (path: string, message: object, token?: string) => {
    const response = await fetch(`http://${closed.endpoint}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(message),
      ...(token !== undefined && { headers: { authorization: token } }),
    })
    return { status: response.status, ...JSON.parse(await response.text()) }
  }
  await ask('auth/user/add', { name: 'root', password: 'pw' })
  await ask('auth/role/add', { name: 'root' })
  await ask('auth/user/grant', { user: 'root', role: 'root' })
  expect(await ask('auth/enable', {})).toMatchObject({ status: 200 })
  const key = { key: b64('a') }
  expect(await ask('kv/put', key)).toEqual({
    status: 400,
    code: 3,
    message: 'etcdserver: user name is empty',
  })
  expect(await ask('kv/put', key, 'nonsense')).toMatchObject({ status: 401, code: 16 })
  const { token } = await ask('auth/authenticate', { name: 'root', password: 'pw' })
  expect(await ask('kv/put', key, token)).toMatchObject({ status: 200 })
  expect(await ask('kv/put', key, `Bearer ${token}`)).toMatchObject({ status: 200 })
})

describe('streams', () => {
  test('a watch stays open after its one request, and tells of each change on a line', async () => {
    const lines: string[] = []
    const request = http.request(`http://${ours.endpoint}/v3/watch`, { method: 'POST' })
    request.end(JSON.stringify({ create_request: { key: b64('watched') } }))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const reader = response[Symbol.asyncIterator]()
    const line = async () => {
      while (lines.length === 0) {
        const { value } = await reader.next()
        lines.push(...String(value).trimEnd().split('\n'))
      }
      return JSON.parse(lines.shift() ?? '')
    }
    expect(await line()).toMatchObject({ result: { created: true } })
    await post(
      ours.endpoint,
      '/v3/kv/put',
      JSON.stringify({ key: b64('watched'), value: b64('v') }),
    )
    await post(ours.endpoint, '/v3/kv/deleterange', JSON.stringify({ key: b64('watched') }))
    const put = await line()
    expect(put.result.events).toMatchObject([{ kv: { key: b64('watched'), value: b64('v') } }])
    const gone = await line()
    expect(gone.result.events).toMatchObject([{ type: 'DELETE', kv: { key: b64('watched') } }])
    request.destroy()
  })

  test('a keep-alive answers once for each object posted', async () => {
    await post(ours.endpoint, '/v3/lease/grant', '{"TTL":60,"ID":5}')
    const { body } = await post(ours.endpoint, '/v3/lease/keepalive', '{"ID":5} {"ID":6}{"ID":5}')
    const ttls = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).result)
    expect(ttls).toMatchObject([{ ID: '5', TTL: '60' }, { ID: '6' }, { ID: '5', TTL: '60' }])
  })

  test('a snapshot comes in lines, and ends with its digest', async () => {
    const { body } = await post(ours.endpoint, '/v3/maintenance/snapshot', '')
    const blobs = body
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from(JSON.parse(line).result.blob, 'base64'))
    expect(blobs.at(-1)).toHaveLength(32)
    expect(Buffer.concat(blobs).length % 512).toBe(32)
  })

  test('an error before the first message has its status and a line', async () => {
    const { status, body } = await post(ours.endpoint, '/v3/watch', '{"create_request":[]}')
    expect(status).toBe(400)
    expect(JSON.parse(body).error).toMatchObject({ code: 3 })
  })
})
