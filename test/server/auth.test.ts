// Authentication over a socket: who may call what, with which status and text it is refused, and
// what a token, a certificate and a role are worth. Requirements are those of 3.7.
import { cp, rm } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Permission_Type as Type } from '../../src/api/gen/auth.js'
import * as rpc from '../../src/api/gen/rpc.js'
import type { ServerConfig } from '../../src/server/config.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { type Fields, type Method, outcomeOf, TokenClient } from './token-client.js'

const { READ, WRITE, READWRITE } = Type
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const keys = (key: string, end = '') => ({ key: bytes(key), range_end: bytes(end) })

const userEmpty = 'InvalidArgument: etcdserver: user name is empty'
const invalidToken = 'Unauthenticated: etcdserver: invalid auth token'
const denied = 'PermissionDenied: etcdserver: permission denied'
const oldRevision = 'InvalidArgument: etcdserver: revision of auth store is old'

let server: Embedded
let client: TokenClient
/** Tokens: root may do everything, ann what the role `some` grants, bob nothing. */
let root: string
let ann: string
let bob: string

async function grant(role: string, permType: Type, key: string, end = ''): Promise<void> {
  const perm = { permType, ...keys(key, end) }
  await client.call('RoleGrantPermission', { name: role, perm }, root)
}

async function addUser(name: string, role?: string): Promise<string> {
  await client.call('UserAdd', { name, password: `${name}'s` }, root)
  if (role !== undefined) await client.call('UserGrantRole', { user: name, role }, root)
  return client.logIn(name, `${name}'s`)
}

beforeAll(async () => {
  server = await startEmbedded({ config: { bcryptCost: 4 } })
  client = new TokenClient(server.port)
  await client.call('UserAdd', { name: 'root', password: 'of all' })
  await client.call('UserGrantRole', { user: 'root', role: 'root' })
  await client.call('AuthEnable', {})
  root = await client.logIn('root', 'of all')
  await client.call('RoleAdd', { name: 'some' }, root)
  await grant('some', READ, 'r', 's')
  await grant('some', WRITE, 'w', 'x')
  await grant('some', READWRITE, 'b')
  ann = await addUser('ann', 'some')
  bob = await addUser('bob')
})
afterAll(async () => {
  await client?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

type Call = { [M in Method]: readonly [method: M, fields: Fields<M>] }[Method]

const outcome = ([method, fields]: Call, token?: string) => client.outcome(method, fields, token)

/** Requests that change nothing, whoever sends them. */
const open: Call[] = [['AuthStatus', {}]]
const forUsers: Call[] = [
  ['Status', {}],
  ['MemberList', {}],
  ['Alarm', { action: 0 }],
  ['LeaseTimeToLive', { ID: '4711' }],
  ['LeaseLeases', {}],
]
const forRoot: Call[] = [
  ['Compact', { revision: '999999' }],
  ['MemberAdd', { peerURLs: [] }],
  ['MemberRemove', { ID: '1' }],
  ['MemberUpdate', { ID: '1' }],
  ['MemberPromote', { ID: '1' }],
  ['Alarm', { action: 1, alarm: 0 }],
  ['Alarm', { action: 2, alarm: 1 }],
  ['Defragment', {}],
  ['Hash', {}],
  ['HashKV', {}],
  ['MoveLeader', { targetID: '1' }],
  ['AuthEnable', {}],
  ['UserAdd', { name: 'bob' }],
  ['UserDelete', { name: 'nobody' }],
  ['UserChangePassword', { name: 'nobody' }],
  ['UserGrantRole', { user: 'nobody', role: 'some' }],
  ['UserRevokeRole', { name: 'nobody', role: 'some' }],
  ['UserList', {}],
  ['RoleAdd', { name: '' }],
  ['RoleDelete', { role: 'nothing' }],
  ['RoleGrantPermission', { name: 'nothing' }],
  ['RoleRevokePermission', { role: 'nothing' }],
  ['RoleList', {}],
  ['UserGet', { name: 'root' }],
  ['RoleGet', { role: 'root' }],
]
const aboutKeys: Call[] = [
  ['Range', keys('k')],
  ['Range', { ...keys('k'), serializable: true }],
  ['Put', { key: bytes('k') }],
  ['DeleteRange', keys('k')],
  ['Txn', { success: [{ request_range: keys('k') }] }],
  ['Txn', { success: [{ request_put: { key: bytes('k') } }] }],
]

/** Bytes are shown as text. */
const show = (_: string, value: unknown) =>
  typeof value === 'object' && value !== null && 'data' in value
    ? Buffer.from(value.data as number[]).toString('latin1')
    : value
const described = (calls: Call[]) =>
  calls.map((call) => [`${call[0]} ${JSON.stringify(call[1], show)}`, call] as const)

describe('who may call', () => {
  test.each(described(open))('%s: everybody', async (_, call) => {
    expect(await outcome(call)).toBe('ok')
    expect(await outcome(call, bob)).toBe('ok')
  })

  test.each(described(forUsers))('%s: users', async (_, call) => {
    expect(await outcome(call)).toBe(userEmpty)
    expect(await outcome(call, 'nonsense.1')).toBe(invalidToken)
    expect(await outcome(call, bob)).toBe('ok')
    expect(await outcome(call, root)).toBe('ok')
  })

  test.each(described(forRoot))('%s: administrators', async (_, call) => {
    expect(await outcome(call)).toBe(userEmpty)
    expect(await outcome(call, 'nonsense.1')).toBe(invalidToken)
    expect(await outcome(call, bob)).toBe(denied)
    const allowed = await outcome(call, root)
    expect([userEmpty, invalidToken, denied]).not.toContain(allowed)
  })

  test.each(described(aboutKeys))('%s: who may touch the key', async (_, call) => {
    expect(await outcome(call)).toBe(userEmpty)
    expect(await outcome(call, 'nonsense.1')).toBe(invalidToken)
    expect(await outcome(call, ann)).toBe(denied)
    expect(await outcome(call, root)).toBe('ok')
  })

  test('UserGet: the user, RoleGet: who has the role', async () => {
    expect((await client.call('UserGet', { name: 'ann' }, ann)).roles).toEqual(['some'])
    expect(await client.outcome('UserGet', { name: 'ann' }, bob)).toBe(denied)
    const { perm } = await client.call('RoleGet', { role: 'some' }, ann)
    expect(perm.map(({ permType, key }) => [permType, key.toString()])).toEqual([
      [READWRITE, 'b'],
      [READ, 'r'],
      [WRITE, 'w'],
    ])
    expect(await client.outcome('RoleGet', { role: 'some' }, bob)).toBe(denied)
  })

  test('Snapshot: administrators', async () => {
    const run = async (token?: string) => {
      const stream = client.stream('Maintenance/Snapshot', token)
      await stream.write(rpc.SnapshotRequest.encode({}).finish())
      stream.end()
      for await (const _ of stream) break
    }
    expect(await outcomeOf(run())).toBe(userEmpty)
    expect(await outcomeOf(run(bob))).toBe(denied)
    expect(await outcomeOf(run(root))).toBe('ok')
  })
})

describe('keys', () => {
  test.each<[call: string, Call, allowed: boolean]>([
    ['read of what may be read', ['Range', keys('r', 's')], true],
    ['read beyond it', ['Range', keys('r', 't')], false],
    ['read of all', ['Range', keys('\0', '\0')], false],
    ['read of what may be written', ['Range', keys('w')], false],
    ['put where one may write', ['Put', { key: bytes('w1') }], true],
    ['put where one may read', ['Put', { key: bytes('r1') }], false],
    ['put that shows what was', ['Put', { key: bytes('w1'), prev_kv: true }], false],
    ['put that shows what one may see', ['Put', { key: bytes('b'), prev_kv: true }], true],
    ['deletion where one may write', ['DeleteRange', keys('w', 'x')], true],
    ['deletion beyond it', ['DeleteRange', keys('w', 'y')], false],
    ['deletion that shows what was', ['DeleteRange', { ...keys('w', 'x'), prev_kv: true }], false],
  ])('a %s', async (_, call, allowed) => {
    expect(await outcome(call, ann)).toBe(allowed ? 'ok' : denied)
  })

  const get = (key: string, end = '') => ({ request_range: keys(key, end) })
  const put = (key: string) => ({ request_put: { key: bytes(key) } })
  const nested = (...success: object[]) => ({ request_txn: { success } })
  const compare = (key: string, end = '') => ({
    ...keys(key, end),
    target: rpc.Compare_CompareTarget.VERSION,
  })
  test.each<[name: string, Fields<'Txn'>, allowed: boolean]>([
    ['permitted parts', { compare: [compare('r')], success: [get('b'), put('b')] }, true],
    ['a hidden compare', { compare: [compare('w')], success: [get('b')] }, false],
    ['a hidden interval compared', { compare: [compare('r', 't')], success: [get('b')] }, false],
    ['a hidden read in the branch taken', { success: [get('b'), get('k')] }, false],
    ['a hidden read in the other branch', { success: [put('b')], failure: [get('k')] }, false],
    ['a forbidden put in the other branch', { success: [get('b')], failure: [put('k')] }, false],
    ['a hidden read in a transaction inside', { success: [nested(get('k'))] }, false],
    [
      'a forbidden put two transactions deep, never reached',
      { failure: [nested(nested(put('k')))] },
      false,
    ],
    ['a forbidden deletion', { success: [put('b'), { request_delete_range: keys('r') }] }, false],
    [
      'a deletion that shows what was',
      { success: [{ request_delete_range: { ...keys('w'), prev_kv: true } }] },
      false,
    ],
  ])('a transaction with %s', async (_, request, allowed) => {
    expect(await client.outcome('Txn', request, ann)).toBe(allowed ? 'ok' : denied)
  })

  test('a refused transaction has changed nothing', async () => {
    const before = await client.call('Range', keys('b'), root)
    await client.outcome('Txn', { success: [put('b'), put('k')] }, ann)
    const after = await client.call('Range', keys('b'), root)
    expect(after.header?.revision).toBe(before.header?.revision)
  })

  test('a stream of pairs asks as a range does', async () => {
    const run = async (key: string, token?: string) => {
      const stream = client.stream('KV/RangeStream', token)
      await stream.write(rpc.RangeRequest.encode(rpc.RangeRequest.fromPartial(keys(key))).finish())
      stream.end()
      for await (const _ of stream);
    }
    expect(await outcomeOf(run('k'))).toBe(userEmpty)
    expect(await outcomeOf(run('k', ann))).toBe(denied)
    expect(await outcomeOf(run('r', ann))).toBe('ok')
  })
})

test('a stream of pairs that outlives a change of roles ends with an error', async () => {
  const value = Buffer.alloc(64 * 1024)
  const put = (at: number) => client.call('Put', { key: bytes(`r${at}`), value }, root)
  await Promise.all(Array.from({ length: 100 }, (_, at) => put(at)))
  const stream = client.stream('KV/RangeStream', ann)
  const request = rpc.RangeRequest.fromPartial(keys('r', 's'))
  await stream.write(rpc.RangeRequest.encode(request).finish())
  stream.end()
  const answers = stream[Symbol.asyncIterator]()
  await answers.next()
  await client.call('RoleAdd', { name: 'meanwhile' }, root)
  const rest = async () => {
    while (!(await answers.next()).done);
  }
  expect(await outcomeOf(rest())).toBe(oldRevision)
  await client.call('DeleteRange', keys('r', 's'), root)
})

describe('leases', () => {
  const leaseWith = async (...held: string[]) => {
    const { ID } = await client.call('LeaseGrant', { TTL: '600' }, ann)
    for (const key of held) await client.call('Put', { key: bytes(key), lease: ID }, root)
    return ID
  }

  test('are granted to any user', async () => {
    expect(await client.outcome('LeaseGrant', { TTL: '600' })).toBe(userEmpty)
    expect(await client.outcome('LeaseGrant', { TTL: '600' }, bob)).toBe('ok')
  })

  test('can be revoked by who may write all their keys', async () => {
    const mixed = await leaseWith('w1', 'k1')
    expect(await client.outcome('LeaseRevoke', { ID: mixed })).toBe(userEmpty)
    expect(await client.outcome('LeaseRevoke', { ID: mixed }, ann)).toBe(denied)
    expect(await client.outcome('LeaseRevoke', { ID: mixed }, root)).toBe('ok')
    const own = await leaseWith('w1', 'b')
    expect(await client.outcome('LeaseRevoke', { ID: own }, bob)).toBe(denied)
    expect(await client.outcome('LeaseRevoke', { ID: own }, ann)).toBe('ok')
    expect(await client.outcome('LeaseRevoke', { ID: await leaseWith() }, bob)).toBe('ok')
  })

  test('take keys only from who may write those that they have', async () => {
    const lease = await leaseWith('k1')
    expect(await client.outcome('Put', { key: bytes('w1'), lease }, ann)).toBe(denied)
    const own = await leaseWith('w2')
    expect(await client.outcome('Put', { key: bytes('w1'), lease: own }, ann)).toBe('ok')
  })

  test('tell their keys to who may read them, their time to any user', async () => {
    const ID = await leaseWith('w1', 'r1')
    expect(await client.outcome('LeaseTimeToLive', { ID, keys: true })).toBe(userEmpty)
    expect(await client.outcome('LeaseTimeToLive', { ID, keys: true }, ann)).toBe(denied)
    expect(await client.outcome('LeaseTimeToLive', { ID }, bob)).toBe('ok')
    const seen = await leaseWith('r2')
    const { keys: names } = await client.call('LeaseTimeToLive', { ID: seen, keys: true }, ann)
    expect(names.map(String)).toEqual(['r2'])
  })

  test('are listed for who may read the keys of all', async () => {
    await leaseWith('k1')
    expect(await client.outcome('LeaseLeases', {}, ann)).toBe(denied)
    expect(await client.outcome('LeaseLeases', {}, root)).toBe('ok')
  })

  test('are kept alive by who may write their keys', async () => {
    const keepAlive = async (ID: string, token?: string) => {
      const stream = client.stream('Lease/LeaseKeepAlive', token)
      await stream.write(rpc.LeaseKeepAliveRequest.encode({ ID }).finish())
      stream.end()
      for await (const data of stream) {
        expect(rpc.LeaseKeepAliveResponse.decode(data).TTL).toBe('600')
      }
    }
    const ID = await leaseWith('w3')
    expect(await outcomeOf(keepAlive(ID))).toBe(userEmpty)
    expect(await outcomeOf(keepAlive(ID, 'nonsense.1'))).toBe(invalidToken)
    expect(await outcomeOf(keepAlive(ID, bob))).toBe(denied)
    expect(await outcomeOf(keepAlive(ID, ann))).toBe('ok')
  })

  test('end by themselves while authentication is on', async () => {
    const { ID } = await client.call('LeaseGrant', { TTL: '4' }, ann)
    const { header } = await client.call('Put', { key: bytes('w9'), lease: ID }, ann)
    const watch = client.stream('Watch/Watch', root)
    const start_revision = String(Number(header?.revision) + 1)
    const create_request = { key: bytes('w9'), start_revision }
    await watch.write(
      rpc.WatchRequest.encode(rpc.WatchRequest.fromPartial({ create_request })).finish(),
    )
    for await (const data of watch) {
      const { events } = rpc.WatchResponse.decode(data)
      if (events[0] === undefined) continue
      expect(events[0].type).toBe(1)
      break
    }
    watch.cancel()
  })
})

describe('watches', () => {
  class Watch {
    readonly #stream
    readonly #answers
    constructor(token?: string) {
      this.#stream = client.stream('Watch/Watch', token)
      this.#answers = this.#stream[Symbol.asyncIterator]()
    }
    async create(key: string, end = ''): Promise<rpc.WatchResponse> {
      const create_request = keys(key, end)
      await this.#stream.write(
        rpc.WatchRequest.encode(rpc.WatchRequest.fromPartial({ create_request })).finish(),
      )
      return this.next()
    }
    async next(): Promise<rpc.WatchResponse> {
      const { value } = await this.#answers.next()
      return rpc.WatchResponse.decode(value as Buffer)
    }
    [Symbol.dispose](): void {
      this.#stream.cancel()
    }
  }
  const refusal = (cancel_reason: string) => ({
    watch_id: '-1',
    created: true,
    canceled: true,
    cancel_reason,
  })
  const reason = (text: string) => {
    const [status, ...words] = text.split(': ')
    return `rpc error: code = ${status} desc = ${words.join(': ')}`
  }

  test('are refused with the reason of a range, and the stream goes on', async () => {
    using nobody = new Watch()
    expect(await nobody.create('r')).toMatchObject(refusal(reason(userEmpty)))
    using unknown = new Watch('nonsense.1')
    expect(await unknown.create('r')).toMatchObject(refusal(reason(invalidToken)))
    using anns = new Watch(ann)
    expect(await anns.create('k')).toMatchObject(refusal(reason(denied)))
    expect(await anns.create('r', 't')).toMatchObject(refusal(reason(denied)))
    expect(await anns.create('r', '\0')).toMatchObject(refusal(reason(denied)))
    expect(await anns.create('')).toMatchObject(refusal(reason(denied)))
    expect(await anns.create('r', 's')).toMatchObject({ created: true, canceled: false })
  })

  test('go on when the right to begin them is gone', async () => {
    await client.call('RoleAdd', { name: 'short' }, root)
    await grant('short', READ, 'v')
    const carl = await addUser('carl', 'short')
    using watch = new Watch(carl)
    expect(await watch.create('v')).toMatchObject({ created: true, canceled: false })
    await client.call('UserDelete', { name: 'carl' }, root)
    await client.call('Put', { key: bytes('v'), value: bytes('seen') }, root)
    expect((await watch.next()).events[0]?.kv?.value.toString()).toBe('seen')
    expect(await watch.create('v')).toMatchObject(refusal(reason(invalidToken)))
  })
})

describe('a token', () => {
  const range = (shown: Record<string, string>) => client.outcome('Range', keys('r'), shown)

  test('is taken from either name, with or without Bearer', async () => {
    expect(await range({ token: ann })).toBe('ok')
    expect(await range({ token: `Bearer ${ann}` })).toBe('ok')
    expect(await range({ authorization: ann })).toBe('ok')
    expect(await range({ authorization: `Bearer ${ann}` })).toBe('ok')
    expect(await range({ authorization: ann, token: 'nonsense.1' })).toBe(invalidToken)
    expect(await range({ token: `Basic ${ann}` })).toBe(invalidToken)
    expect(await range({ token: '' })).toBe(invalidToken)
  })

  test('carries the index of its login and changes each time', async () => {
    const again = await client.logIn('ann', "ann's")
    expect(again).toMatch(/^[A-Za-z]{16}\.\d+$/)
    expect(again).not.toBe(ann)
    expect(Number(again.split('.')[1])).toBeGreaterThan(Number(ann.split('.')[1]))
  })

  test('is worth nothing once the password changed', async () => {
    const dora = await addUser('dora', 'some')
    expect(await range({ token: dora })).toBe('ok')
    await client.call('UserChangePassword', { name: 'dora', password: 'new' }, root)
    expect(await range({ token: dora })).toBe(invalidToken)
    expect(await outcomeOf(client.logIn('dora', "dora's"))).toMatch(/authentication failed/)
    expect(await range({ token: await client.logIn('dora', 'new') })).toBe('ok')
  })

  test('goes by the roles of now, not of its login', async () => {
    const emil = await addUser('emil')
    expect(await range({ token: emil })).toBe(denied)
    await client.call('UserGrantRole', { user: 'emil', role: 'some' }, root)
    expect(await range({ token: emil })).toBe('ok')
  })
})

describe('logging in', () => {
  const failed = 'InvalidArgument: etcdserver: authentication failed, invalid user ID or password'
  const logIn = (name: string, password: string) => outcomeOf(client.logIn(name, password))

  test('is refused for a wrong password and for an unknown user alike', async () => {
    expect(await logIn('ann', 'wrong')).toBe(failed)
    expect(await logIn('ann', '')).toBe(failed)
    expect(await logIn('zoe', "ann's")).toBe(failed)
    expect(await logIn('', '')).toBe(failed)
  })

  test('is not for users without a password', async () => {
    const options = { no_password: true }
    await client.call('UserAdd', { name: 'certified', options }, root)
    const text = 'Unknown: auth: authentication failed, password was given for no password user'
    expect(await logIn('certified', 'x')).toBe(text)
  })

  test('works with an empty password given at first, but not with one given later', async () => {
    await client.call('UserAdd', { name: 'empty', password: '' }, root)
    expect(await logIn('empty', '')).toBe('ok')
    await client.call('UserChangePassword', { name: 'empty', password: '' }, root)
    expect(await logIn('empty', '')).toBe(failed)
  })

  test('needs a password that can be hashed', async () => {
    const text = 'Unknown: bcrypt: password length exceeds 72 bytes'
    const password = 'x'.repeat(73)
    expect(await client.outcome('UserAdd', { name: 'long', password }, root)).toBe(text)
    expect(await client.outcome('UserChangePassword', { name: 'ann', password }, root)).toBe(text)
  })

  test('never puts a password into the log', async () => {
    await client.call('UserAdd', { name: 'secretive', password: 'whisper it' }, root)
    await client.logIn('secretive', 'whisper it')
    expect(server.log.join('\n')).not.toContain('whisper it')
  })

  test('many at once do not stand in the way of a read', async () => {
    const logins = Array.from({ length: 30 }, () => client.logIn('ann', "ann's"))
    const isFirst = await Promise.race([
      client.call('Range', keys('r'), ann).then(() => true),
      Promise.all(logins).then(() => false),
    ])
    expect(isFirst).toBe(true)
    await Promise.all(logins)
  })
})

describe('texts', () => {
  test.each<[text: string, Call]>([
    ['FailedPrecondition: etcdserver: user name already exists', ['UserAdd', { name: 'ann' }]],
    [userEmpty, ['UserAdd', { name: '' }]],
    ['FailedPrecondition: etcdserver: user name not found', ['UserGet', { name: 'zoe' }]],
    ['FailedPrecondition: etcdserver: role name already exists', ['RoleAdd', { name: 'some' }]],
    ['InvalidArgument: etcdserver: role name is empty', ['RoleAdd', { name: '' }]],
    ['FailedPrecondition: etcdserver: role name not found', ['RoleGet', { role: 'none' }]],
    [
      'FailedPrecondition: etcdserver: role is not granted to the user',
      ['UserRevokeRole', { name: 'bob', role: 'some' }],
    ],
    [
      'FailedPrecondition: etcdserver: permission is not granted to the role',
      ['RoleRevokePermission', { role: 'some', ...keys('r') }],
    ],
    [
      'InvalidArgument: etcdserver: permission not given',
      ['RoleGrantPermission', { name: 'some' }],
    ],
    [
      'InvalidArgument: etcdserver: invalid auth management',
      ['RoleGrantPermission', { name: 'some', perm: keys('b', 'a') }],
    ],
    ['InvalidArgument: etcdserver: invalid auth management', ['UserDelete', { name: 'root' }]],
    ['InvalidArgument: etcdserver: invalid auth management', ['RoleDelete', { role: 'root' }]],
    [
      'InvalidArgument: etcdserver: invalid auth management',
      ['UserRevokeRole', { name: 'root', role: 'root' }],
    ],
  ])('%s', async (text, call) => {
    expect(await outcome(call, root)).toBe(text)
  })

  test('of an administrator who was deleted meanwhile: unknown token', async () => {
    const gone = await addUser('gone', 'root')
    expect(await client.outcome('UserList', {}, gone)).toBe('ok')
    await client.call('UserDelete', { name: 'gone' }, root)
    expect(await client.outcome('UserList', {}, gone)).toBe(invalidToken)
  })
})

describe('headers and status', () => {
  test('every answer has a header with the revision, which auth changes leave alone', async () => {
    const before = await client.call('Range', keys('r'), root)
    const { header } = await client.call('UserAdd', { name: 'header', password: 'p' }, root)
    expect(header).toEqual(before.header)
    const names: Call[] = [
      ['UserList', {}],
      ['RoleList', {}],
      ['UserGet', { name: 'ann' }],
      ['RoleGet', { role: 'some' }],
      ['AuthStatus', {}],
    ]
    for (const [method, fields] of names) {
      const answer = await client.call(method, fields, root)
      expect((answer as { header?: object }).header, method).toEqual(before.header)
    }
  })

  test('the status tells the auth revision, which every change raises by one', async () => {
    const before = await client.call('AuthStatus', {})
    expect(before.enabled).toBe(true)
    await client.call('RoleAdd', { name: 'counted' }, root)
    await client.outcome('RoleAdd', { name: 'counted' }, root)
    const { authRevision } = await client.call('AuthStatus', {})
    expect(Number(authRevision)).toBe(Number(before.authRevision) + 1)
  })
})

describe('a server of its own', () => {
  const rootPassword = 'of all'
  async function enabled(
    config: Partial<ServerConfig> = {},
  ): Promise<{ server: Embedded; client: TokenClient }> {
    const own = await startEmbedded({ config: { bcryptCost: 4, ...config } })
    const client = new TokenClient(own.port)
    await client.call('UserAdd', { name: 'root', password: rootPassword })
    await client.call('UserGrantRole', { user: 'root', role: 'root' })
    await client.call('AuthEnable', {})
    return { server: own, client }
  }

  test('is open until enabled, which needs root, and after it is disabled', async () => {
    await using own = await startEmbedded({ storage: 'memory', config: { bcryptCost: 4 } })
    await using to = new TokenClient(own.port)
    const off = 'FailedPrecondition: etcdserver: authentication is not enabled'
    expect(await outcomeOf(to.logIn('root', rootPassword))).toBe(off)
    expect(await to.outcome('Put', { key: bytes('k') }, 'any token')).toBe('ok')
    const noUser = 'FailedPrecondition: etcdserver: root user does not exist'
    expect(await to.outcome('AuthEnable', {})).toBe(noUser)
    await to.call('UserAdd', { name: 'root', password: rootPassword })
    const noRole = 'FailedPrecondition: etcdserver: root user does not have root role'
    expect(await to.outcome('AuthEnable', {})).toBe(noRole)
    await to.call('UserGrantRole', { user: 'root', role: 'root' })
    await to.call('AuthEnable', {})
    const token = await to.logIn('root', rootPassword)
    expect(await to.outcome('AuthEnable', {}, token)).toBe('ok')
    expect(await to.outcome('Put', { key: bytes('k') })).toBe(userEmpty)
    expect(await to.outcome('AuthDisable', {}, token)).toBe('ok')
    expect(await to.outcome('Put', { key: bytes('k') }, token)).toBe('ok')
    await to.call('AuthEnable', {})
    expect(await to.outcome('Put', { key: bytes('k') }, token)).toBe(invalidToken)
  })

  test('knows its users after a restart, but no tokens', async () => {
    const { server: own, client: first } = await enabled()
    await using _ = own
    const token = await first.logIn('root', rootPassword)
    await first.call('RoleAdd', { name: 'r' }, token)
    const perm = { permType: READ, ...keys('a', 'c') }
    await first.call('RoleGrantPermission', { name: 'r', perm }, token)
    await first.call('UserAdd', { name: 'u', options: { no_password: true } }, token)
    await first.call('UserGrantRole', { user: 'u', role: 'r' }, token)
    const before = await first.call('AuthStatus', {})
    await first[Symbol.asyncDispose]()
    await own.restart()
    await using to = new TokenClient(own.port)
    expect(await to.outcome('UserList', {}, token)).toBe(invalidToken)
    const again = await to.logIn('root', rootPassword)
    expect((await to.call('UserList', {}, again)).users).toEqual(['root', 'u'])
    expect((await to.call('UserGet', { name: 'u' }, again)).roles).toEqual(['r'])
    expect((await to.call('RoleGet', { role: 'r' }, again)).perm).toEqual([perm])
    const { enabled: isOn, authRevision } = await to.call('AuthStatus', {})
    expect({ isOn, authRevision }).toEqual({ isOn: true, authRevision: before.authRevision })
  })

  test('does not let a password in that is changed while it is checked', async () => {
    const { server: own, client: to } = await enabled({ bcryptCost: 9 })
    await using _ = own
    await using __ = to
    const token = await to.logIn('root', rootPassword)
    await to.call('UserAdd', { name: 'u', password: 'old' }, token)
    // The new password is hashed first; the old one is found right before the change is applied.
    const [changed, old] = await Promise.all([
      to.outcome('UserChangePassword', { name: 'u', password: 'new' }, token),
      outcomeOf(to.logIn('u', 'old')),
    ])
    expect(changed).toBe('ok')
    expect(old).toMatch(/authentication failed/)
    expect(await outcomeOf(to.logIn('u', 'new'))).toBe('ok')
  })

  test('has lost nothing of them after it was killed', async () => {
    const { server: own, client: to } = await enabled()
    await using _ = own
    await using __ = to
    const token = await to.logIn('root', rootPassword)
    await to.call('UserAdd', { name: 'u', password: 'p' }, token)
    await to.call('UserGrantRole', { user: 'u', role: 'root' }, token)
    // The directory as it is now: what a checkpoint would write is in the log only.
    const dataDir = `${own.dataDir}-copy`
    await cp(own.dataDir, dataDir, { recursive: true })
    await rm(path.join(dataDir, 'member/tsctl.lock'))
    await using second = await startEmbedded({ dataDir, config: { bcryptCost: 4 } })
    await using toSecond = new TokenClient(second.port)
    const us = await toSecond.logIn('u', 'p')
    expect((await toSecond.call('UserList', {}, us)).users).toEqual(['root', 'u'])
    expect(await toSecond.outcome('UserList', {})).toBe(userEmpty)
  })

  test('refuses a signed token after users or roles changed, for keys only', async () => {
    const privateKeyFile = `${import.meta.dirname}/../../fixtures/tls/server.key`
    const authToken = { kind: 'jwt', signMethod: 'ES256', ttlMs: 300_000, privateKeyFile } as const
    const { server: own, client: to } = await enabled({ authToken })
    await using _ = own
    await using __ = to
    const token = await to.logIn('root', rootPassword)
    expect(token.split('.')).toHaveLength(3)
    expect(await to.outcome('Put', { key: bytes('k') }, token)).toBe('ok')
    await to.call('RoleAdd', { name: 'r' }, token)
    expect(await to.outcome('Put', { key: bytes('k') }, token)).toBe(oldRevision)
    expect(await to.outcome('Range', keys('k'), token)).toBe(oldRevision)
    expect(await to.outcome('Txn', { success: [{ request_range: keys('k') }] }, token)).toBe(
      oldRevision,
    )
    expect(await to.outcome('RoleList', {}, token)).toBe('ok')
    const watch = to.stream('Watch/Watch', token)
    await watch.write(
      rpc.WatchRequest.encode(rpc.WatchRequest.fromPartial({ create_request: keys('k') })).finish(),
    )
    for await (const data of watch) {
      expect(rpc.WatchResponse.decode(data).cancel_reason).toBe(
        'rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old',
      )
      break
    }
    watch.cancel()
    const fresh = await to.logIn('root', rootPassword)
    expect(await to.outcome('Put', { key: bytes('k') }, fresh)).toBe('ok')
  })

  test('does not start with tokens that it cannot make', async () => {
    const privateKeyFile = '/nowhere'
    const authToken = { kind: 'jwt', signMethod: 'RS256', ttlMs: 1, privateKeyFile } as const
    await expect(startEmbedded({ config: { authToken } })).rejects.toThrow(/^--auth-token: ENOENT/)
  })
})
