// member, endpoint, alarm, defrag and move-leader: the checks of their words, and how they go
// through several endpoints of which some fail.
import { describe, expect, test } from 'vitest'
import * as rpc from '../../src/api/gen/rpc.js'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { ConnectionError } from '../../src/connection/errors.js'
import { failing, lastLine, run, type Stand } from './run.js'

describe('words that are refused', () => {
  const hex = (call: string, text: string) => `strconv.${call}: parsing "${text}": invalid syntax`
  const badMember = `bad member ID arg (${hex('ParseUint', 'zz')}), expecting ID in Hex`
  test.each<[string[], number, string]>([
    [['member', 'add'], 128, 'member name not provided'],
    [['member', 'add', 'n'], 128, 'member peer urls not provided'],
    [['member', 'add', 'n', 'x'], 128, 'too many arguments'],
    [
      ['member', 'add', 'n', 'HTTP://a:1', 'http://b:2'],
      128,
      'too many arguments, did you mean --peer-urls=HTTP://a:1, did you mean --peer-urls=http://b:2',
    ],
    [
      ['member', 'add', 'n', '--peer-urls=ftp://a:1'],
      1,
      'URL scheme must be http, https, unix, or unixs: ftp://a:1',
    ],
    [
      ['member', 'add', 'n', '--peer-urls=http://a'],
      1,
      'URL address does not have the form "host:port": http://a',
    ],
    [
      ['member', 'add', 'n', '--peer-urls=http://a:1/x'],
      1,
      'URL must not contain a path: http://a:1/x',
    ],
    [['member', 'remove'], 128, 'member ID is not provided'],
    [['member', 'remove', '1', '2'], 128, 'member ID is not provided'],
    [['member', 'remove', 'zz'], 128, badMember],
    [['member', 'update', 'zz'], 128, badMember],
    [['member', 'update', '1f'], 128, 'member peer urls not provided'],
    [['member', 'promote'], 128, 'member ID is not provided'],
    [['member', 'list', '--consistency', 'x'], 4, 'unknown consistency flag "x"'],
    [['alarm', 'list', 'x'], 128, 'alarm list command accepts no arguments'],
    [['alarm', 'disarm', 'x'], 128, 'alarm disarm command accepts no arguments'],
    [['move-leader'], 128, 'move-leader command needs 1 argument'],
    [['move-leader', '1', '2'], 128, 'move-leader command needs 1 argument'],
    [['move-leader', 'zz'], 128, hex('ParseUint', 'zz')],
  ])('%j', async (words, code, message) => {
    const got = await run(words)
    expect({ code: got.code, stderr: got.stderr }).toEqual({ code, stderr: `Error: ${message}\n` })
    expect(got.dialled).toEqual([])
  })
})

const status = (memberId: string, leader: string): rpc.StatusResponse =>
  rpc.StatusResponse.fromPartial({
    header: { member_id: memberId },
    version: '3.7.1',
    leader,
    dbSize: '20480',
    dbSizeInUse: '16384',
  })

const unavailable = new EtcdError('noLeader')

/** By endpoint: a stand-in, as its maintenance service. */
const maintenance =
  (services: Record<string, object>) =>
  ({ endpoints }: { endpoints: readonly string[] }): Stand => ({
    maintenance: services[endpoints.join()],
    cluster: {
      memberList: async () =>
        rpc.MemberListResponse.fromPartial({
          members: [{ clientURLs: ['a', 'b'] }, { clientURLs: ['c'] }],
        }),
    },
  })

describe('endpoint', () => {
  test('status goes on after an endpoint that fails, and fails without a word at the end', async () => {
    const connection = maintenance({
      a: { status: failing(unavailable) },
      b: { status: async () => status('10', '10') },
    })
    const got = await run(['endpoint', 'status', '--endpoints=a,b'], { connection })
    expect(got).toMatchObject({
      code: 1,
      stderr: 'Failed to get the status of endpoint a (etcdserver: no leader)\n',
      closedCount: 4, // each twice: by the command, and for good at the end
    })
    expect(`${got.stdout}`).toBe(
      'b, a, 3.7.1, , 20 kB, 16 kB, 20%, 0 B, true, false, 0, 0, 0, , , false\n',
    )
  })

  test('hashkv ends with the last error', async () => {
    const connection = maintenance({
      a: { hashKV: async () => rpc.HashKVResponse.fromPartial({ hash: 7, hash_revision: '3' }) },
      b: { hashKV: failing(unavailable) },
    })
    const got = await run(['endpoint', 'hashkv', '--endpoints=a,b'], { connection })
    expect(got).toMatchObject({
      code: 1,
      stderr:
        'Failed to get the hash of endpoint b (etcdserver: no leader)\n' +
        'Error: etcdserver: no leader\n',
    })
    expect(`${got.stdout}`).toBe('a, 7, 3\n')
  })

  test.each([
    [['--cluster'], {}],
    [[], { ETCDCTL_CLUSTER: 'true' }],
  ])('all members are asked with %j and %j', async (flags, env) => {
    const connection = maintenance({
      a: { status: async () => status('1', '1') },
      b: { status: async () => status('1', '1') },
      c: { status: async () => status('2', '1') },
    })
    const got = await run(['endpoint', 'status', ...flags], { connection, env })
    expect(got.code).toBe(0)
    expect(`${got.stdout}`.split('\n').map((line) => line.split(',')[0])).toEqual([
      ...['a', 'b', 'c', ''],
    ])
  })

  test('the flag beats its variable', async () => {
    const connection = maintenance({ x: { status: async () => status('1', '1') } })
    const words = ['endpoint', 'status', '--cluster=false', '--endpoints=x']
    const got = await run(words, { connection, env: { ETCDCTL_CLUSTER: 'true' } })
    expect(`${got.stdout}`).toMatch(/^x, 1/)
  })

  test('a lookup of the members that fails is told as such', async () => {
    const cluster = { memberList: failing(unavailable) }
    const got = await run(['endpoint', 'status', '--cluster'], { connection: () => ({ cluster }) })
    expect(got.code).toBe(1)
    expect(lastLine(got)).toBe(
      'Error: failed to fetch endpoints from etcd cluster member list: etcdserver: no leader',
    )
  })

  test.each([
    [['endpoint', 'status'], 2],
    [['endpoint', 'hashkv'], 2],
    [['defrag'], 2],
    [['endpoint', 'status', '--cluster'], 1],
    [['defrag', '--cluster'], 1],
  ])('a refused password ends %j at once, with exit code %d', async (words, code) => {
    const connection = () => {
      throw new ConnectionError('etcdserver: authentication failed')
    }
    const got = await run([...words, '--endpoints=a,b'], { connection })
    expect(got).toMatchObject({ code, stderr: 'Error: etcdserver: authentication failed\n' })
    expect(got.dialled.length).toBe(1)
    expect(`${got.stdout}`).toBe('')
  })

  test.each([
    ['endpoint', 'status', '--cluster'],
    ['endpoint', 'health'],
    ['defrag'],
    ['snapshot', 'save', 'f'],
  ])('words that make no sense end %s %s with their own exit code', async (...words) => {
    const format = await run([...words, '-w=bogus'])
    expect(format).toMatchObject({ code: 4, stderr: 'Error: unsupported output format\n' })
    const resolveSrv = failing(new Error('not found'))
    const domain = await run([...words, '--discovery-srv=d'], { resolveSrv })
    expect(domain).toMatchObject({ code: 1, dialled: [] })
    expect(domain.stderr).toMatch(/^Error: dns lookup errors: /)
  })

  test('bad TLS files are not a matter of health', async () => {
    const connection = () => {
      throw new ConnectionError('open /nofile: no such file or directory', { exitCode: 128 })
    }
    const got = await run(['endpoint', 'health'], { connection })
    expect(got).toMatchObject({
      code: 128,
      stderr: 'Error: open /nofile: no such file or directory\n',
    })
  })

  test('leadership cannot move without endpoints', async () => {
    const got = await run(['move-leader', '1', '--endpoints='], { connection: 'real' })
    expect(got).toMatchObject({ code: 2, stderr: 'Error: etcdclient: no available endpoints\n' })
  })

  const ranged = async () => rpc.RangeResponse.fromPartial({})
  const alarms =
    (...list: rpc.DeepPartial<rpc.AlarmMember>[]) =>
    async () =>
      rpc.AlarmResponse.fromPartial({ alarms: list })

  test.each<[string, Stand, RegExp | undefined]>([
    ['a good endpoint', { kv: { range: ranged }, maintenance: { alarm: alarms() } }, undefined],
    [
      'a refused read, since members had to agree on it',
      {
        kv: { range: failing(new EtcdError('permissionDenied')) },
        maintenance: { alarm: alarms() },
      },
      undefined,
    ],
    ['a failed read', { kv: { range: failing(unavailable) } }, /: etcdserver: no leader\n/],
    [
      'an alarm',
      {
        kv: { range: ranged },
        maintenance: { alarm: alarms({ alarm: 1 }, { alarm: 2 }, { alarm: 0 }) },
      },
      /: Active Alarm\(s\): NOSPACE CORRUPT UNKNOWN \n/,
    ],
    [
      'alarms that cannot be read',
      { kv: { range: ranged }, maintenance: { alarm: failing(unavailable) } },
      /: Unable to fetch the alarm list\n/,
    ],
  ])('health of %s', async (_name, stand, problem) => {
    const got = await run(['endpoint', 'health'], { connection: () => stand })
    expect(got.code).toBe(problem === undefined ? 0 : 1)
    if (problem === undefined) {
      expect(`${got.stdout}`).toMatch(
        /^127.0.0.1:2379 is healthy: successfully committed proposal: took = /,
      )
    } else {
      expect(got.stderr).toMatch(problem)
      expect(lastLine(got)).toBe('Error: unhealthy cluster')
    }
  })
})

describe('alarm disarm', () => {
  test('each alarm that is raised is disarmed by itself', async () => {
    const raised = [
      { memberID: '8439526027888870300', alarm: 1 as const },
      { memberID: '5', alarm: 2 as const },
    ]
    const requests: unknown[] = []
    const alarm = async (request: { action: number }) => {
      requests.push(request)
      const list = request.action === 0 ? raised : [request]
      return rpc.AlarmResponse.fromPartial({ alarms: list as typeof raised })
    }
    const got = await run(['alarm', 'disarm'], { connection: () => ({ maintenance: { alarm } }) })
    expect(requests).toEqual([
      { action: 0 },
      { action: 2, memberID: '8439526027888870300', alarm: 1 },
      { action: 2, memberID: '5', alarm: 2 },
    ])
    expect(`${got.stdout}`).toBe(
      'memberID:8439526027888870300 alarm:NOSPACE\nmemberID:5 alarm:CORRUPT\n',
    )
  })
})

describe('defrag', () => {
  test('it goes on after an endpoint that fails, and fails without a word at the end', async () => {
    const connection = maintenance({
      a: { defragment: failing(unavailable) },
      b: { defragment: async () => ({}) },
    })
    const got = await run(['defrag', '--endpoints=a,b'], { connection })
    expect(got.code).toBe(1)
    expect(got.stderr).toMatch(
      /^Failed to defragment etcd member\[a\]\. took [\d.]+\S+s\. \(etcdserver: no leader\)\n$/,
    )
    expect(`${got.stdout}`).toMatch(/^Finished defragmenting etcd member\[b\]\. took [\d.]+\S+s\n$/)
  })
})

describe('move-leader', () => {
  test('the endpoint that leads is told to hand over', async () => {
    const targets: unknown[] = []
    const moveLeader = async (request: unknown) => {
      targets.push(request)
      return rpc.MoveLeaderResponse.fromPartial({})
    }
    const connection = maintenance({
      a: { status: async () => status('1', '255') },
      b: { status: async () => status('255', '255'), moveLeader },
    })
    const got = await run(['move-leader', 'ff01', '--endpoints=a,b'], { connection })
    expect(targets).toEqual([{ targetID: '65281' }])
    expect(`${got.stdout}`).toBe('Leadership transferred from ff to ff01\n')
  })

  test('without a leader among the endpoints nothing is done', async () => {
    const connection = maintenance({ a: { status: async () => status('1', '2') } })
    const got = await run(['move-leader', '1', '--endpoints=a'], { connection })
    expect(got).toMatchObject({ code: 128, stderr: 'Error: no leader endpoint given at [a]\n' })
  })
})
