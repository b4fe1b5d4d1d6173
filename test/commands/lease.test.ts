// The lease commands: their words, their texts and exit codes, and a life on a real etcd.
import { expect, test } from 'vitest'
import {
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
} from '../../src/api/gen/rpc.js'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { ContextError } from '../../src/connection/errors.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { liveRun } from './live-run.js'
import { failing, lastLine, run } from './run.js'

const ID = '1311768467463790320' // 123456789abcdef0

test.each([
  [['lease', 'grant'], 'lease grant command needs TTL argument'],
  [['lease', 'grant', '1', '2'], 'lease grant command needs TTL argument'],
  [['lease', 'grant', 'abc'], 'bad TTL (strconv.ParseInt: parsing "abc": invalid syntax)'],
  [['lease', 'grant', '0x1'], 'bad TTL (strconv.ParseInt: parsing "0x1": invalid syntax)'],
  [['lease', 'revoke'], 'lease revoke command needs 1 argument'],
  [
    ['lease', 'revoke', 'zz'],
    'bad lease ID arg (strconv.ParseInt: parsing "zz": invalid syntax), expecting ID in Hex',
  ],
  [['lease', 'timetolive'], 'lease timetolive command needs lease ID as argument'],
  [['lease', 'keep-alive', 'a', 'b'], 'lease keep-alive command needs lease ID as argument'],
  [
    ['lease', 'keep-alive', '8000000000000000'],
    'bad lease ID arg (strconv.ParseInt: parsing "8000000000000000": value out of range), expecting ID in Hex',
  ],
])('%j is refused before anything is dialled', async (argv, message) => {
  const result = await run(argv)
  expect(result.code).toBe(128)
  expect(lastLine(result)).toBe(`Error: ${message}`)
  expect(result.dialled).toEqual([])
})

test('grant asks for the TTL and prints what it got', async () => {
  const asked: unknown[] = []
  const leaseGrant = async (request: unknown, options: { deadlineMs: number }) => {
    asked.push(request)
    expect(options.deadlineMs).toBeLessThanOrEqual(5000)
    return LeaseGrantResponse.fromPartial({ ID, TTL: '60' })
  }
  const result = await run(['lease', 'grant', '60'], {
    connection: () => ({ lease: { leaseGrant } }),
  })
  expect(result.stdout.toString()).toBe('lease 123456789abcdef0 granted with TTL(60s)\n')
  expect(asked).toEqual([{ TTL: '60' }])
})

test('a negative TTL needs a -- before it', async () => {
  const leaseGrant = async ({ TTL }: { TTL: string }) =>
    LeaseGrantResponse.fromPartial({ ID, TTL: TTL === '-5' ? '2' : '0' })
  const connection = () => ({ lease: { leaseGrant } })
  const result = await run(['lease', 'grant', '--', '-5'], { connection })
  expect(result.stdout.toString()).toBe('lease 123456789abcdef0 granted with TTL(2s)\n')
})

test('revoke names the lease', async () => {
  const leaseRevoke = async (request: unknown) => {
    expect(request).toEqual({ ID })
    return LeaseRevokeResponse.fromPartial({})
  }
  const connection = () => ({ lease: { leaseRevoke } })
  const result = await run(['lease', 'revoke', '123456789ABCDEF0'], { connection })
  expect(result.stdout.toString()).toBe('lease 123456789abcdef0 revoked\n')
})

test.each([
  [['grant', '5'], 'leaseGrant', 1, 'failed to grant lease (context deadline exceeded)'],
  [['revoke', '1'], 'leaseRevoke', 1, 'failed to revoke lease (context deadline exceeded)'],
  [['timetolive', '1'], 'leaseTimeToLive', 2, 'context deadline exceeded'],
  [['list'], 'leaseLeases', 2, 'context deadline exceeded'],
])('lease %j: a failed call has its own words and exit code', async (words, method, code, text) => {
  const call = failing(new ContextError('deadlineExceeded'))
  const connection = () => ({ lease: { [method]: call } })
  const result = await run(['lease', ...words], { connection })
  expect(result.code).toBe(code)
  expect(lastLine(result)).toBe(`Error: ${text}`)
})

test('timetolive shows the keys only when asked', async () => {
  const leaseTimeToLive = async ({ keys }: { keys: boolean }) =>
    LeaseTimeToLiveResponse.fromPartial({
      ID,
      TTL: '9',
      grantedTTL: '10',
      keys: keys ? [Buffer.from('a'), Buffer.from('b')] : [],
    })
  const connection = () => ({ lease: { leaseTimeToLive } })
  const words = ['lease', 'timetolive', '123456789abcdef0']
  const line = 'lease 123456789abcdef0 granted with TTL(10s), remaining(9s)'
  expect((await run(words, { connection })).stdout.toString()).toBe(`${line}\n`)
  const withKeys = await run([...words, '--keys'], { connection })
  expect(withKeys.stdout.toString()).toBe(`${line}, attached keys([a b])\n`)
})

test('list counts the leases', async () => {
  const leaseLeases = async () => LeaseLeasesResponse.fromPartial({ leases: [{ ID }, { ID: '1' }] })
  const result = await run(['lease', 'list'], { connection: () => ({ lease: { leaseLeases } }) })
  expect(result.stdout.toString()).toBe('found 2 leases\n123456789abcdef0\n0000000000000001\n')
})

async function* renewals(...ttls: string[]) {
  for (const TTL of ttls) yield LeaseKeepAliveResponse.fromPartial({ ID, TTL })
}

test('keep-alive prints each renewal, and the end of the lease is no failure', async () => {
  const connection = () => ({ keepAlive: () => renewals('60', '60') })
  const words = ['lease', 'keep-alive', '123456789abcdef0']
  const result = await run(words, { connection })
  expect(result.code).toBe(0)
  expect(result.stdout.toString()).toBe(
    `${'lease 123456789abcdef0 keepalived with TTL(60)\n'.repeat(2)}lease 123456789abcdef0 expired or revoked.\n`,
  )
})

test('keep-alive --once prints one renewal; without a lease it fails with 2', async () => {
  const words = ['lease', 'keep-alive', '--once', '123456789abcdef0']
  const connection = () => ({ keepAlive: () => renewals('60') })
  const result = await run(words, { connection })
  expect(result.stdout.toString()).toBe('lease 123456789abcdef0 keepalived with TTL(60)\n')
  const keepAlive = async function* () {
    yield await Promise.reject(new EtcdError('leaseNotFound'))
  }
  const gone = await run(words, { connection: () => ({ keepAlive }) })
  expect(gone.code).toBe(2)
  expect(lastLine(gone)).toBe('Error: etcdserver: requested lease not found')
})

describeWithEtcd('leases of a real etcd', () => {
  test('a lease lives its life, command by command', async () => {
    await using etcd = await startRealEtcd()
    const call = async (...words: string[]): Promise<string> => {
      const live = liveRun([...words, `--endpoints=${etcd.endpoint}`])
      return `${await live.code} ${live.stdout()}`
    }
    const [, id = ''] =
      /^0 lease (\w{16}) granted with TTL\(60s\)\n$/.exec(await call('lease', 'grant', '60')) ?? []
    expect(await call('lease', 'list')).toBe(`0 found 1 leases\n${id}\n`)
    await etcd.etcdctl(['put', 'k', 'v', `--lease=${id}`])
    expect(await call('lease', 'timetolive', '--keys', id)).toMatch(/, attached keys\(\[k\]\)\n$/)
    const keeping = liveRun(['lease', 'keep-alive', id, `--endpoints=${etcd.endpoint}`])
    await keeping.shows(/keepalived with TTL\(60\)\n/)
    expect(await call('lease', 'revoke', id)).toBe(`0 lease ${id} revoked\n`)
    expect(await etcd.etcdctl(['get', 'k'])).toBe('')
    expect(await call('lease', 'keep-alive', id)).toBe(`0 lease ${id} expired or revoked.\n`)
    expect(await call('lease', 'timetolive', id)).toBe(`0 lease ${id} already expired\n`)
  })
})
