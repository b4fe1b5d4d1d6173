// What a connection is asked for: who the user is, where the password comes from, which files.
import { describe, expect, test } from 'vitest'
import { RangeResponse } from '../../src/api/gen/rpc.js'
import { run } from './run.js'

const answer = Buffer.from(RangeResponse.encode(RangeResponse.fromPartial({})).finish())
const connection = () => ({ rangeRaw: async () => answer })

async function asked(words: readonly string[], stdin?: string) {
  const around = { connection, ...(stdin !== undefined && { stdin }) }
  const got = await run(['get', 'k', ...words], around)
  expect(got.code).toBe(0)
  return { stdout: `${got.stdout}`, ...got.dialled[0] }
}

describe('the user', () => {
  test.each([
    [[], undefined],
    [['--password=x'], undefined],
    [['--user=root:pw'], { name: 'root', password: 'pw' }],
    [['--user=root:p:w'], { name: 'root', password: 'p:w' }],
    [['--user=ro:ot', '--password=pw'], { name: 'ro:ot', password: 'pw' }],
    [['--user=root:'], undefined],
    [['--user=root', '--auth-jwt-token=t'], undefined],
  ])('%j', async (words, user) => {
    const { user: got, stdout } = await asked(words)
    expect(got).toEqual(user)
    expect(stdout).toBe('')
  })

  test('a token is taken as it is', async () => {
    expect((await asked(['--auth-jwt-token=t'])).token).toBe('t')
    expect((await asked([])).token).toBeUndefined()
  })

  test('a name alone asks for the password, on one line of standard input', async () => {
    const { user, stdout } = await asked(['--user=root'], '  secret \nmore')
    expect(user).toEqual({ name: 'root', password: 'secret' })
    expect(stdout).toBe('Password: \n')
  })

  test('no answer is an empty password, which is no user', async () => {
    expect((await asked(['--user=root'], '')).user).toBeUndefined()
    expect((await asked(['--user=root'], '\n')).user).toBeUndefined()
  })
})

test('limits, times and files are handed on', async () => {
  const files = ['--cert=c', '--key=k', '--cacert=']
  const limits = ['--max-request-bytes=1', '--max-recv-bytes=2', '--dial-timeout=3s']
  const times = ['--keepalive-time=4s', '--keepalive-timeout=5s', '--insecure-transport=false']
  expect(await asked([...files, ...limits, ...times, '--insecure-skip-tls-verify'])).toMatchObject({
    maxSendBytes: 1,
    maxReceiveBytes: 2,
    dialTimeoutMs: 3000,
    keepaliveTimeMs: 4000,
    keepaliveTimeoutMs: 5000,
    tls: { cert: 'c', key: 'k', cacert: '', insecureTransport: false, insecureSkipVerify: true },
  })
})

describe('endpoints from DNS', () => {
  const records: Record<string, { name: string; port: number; priority: number }[]> = {
    '_etcd-client-ssl._tcp.example.com': [
      { name: 'late', port: 2, priority: 20 },
      { name: 'early', port: 1, priority: 10 },
    ],
    '_etcd-client._tcp.example.com': [{ name: 'plain', port: 3, priority: 0 }],
    '_etcd-client-x._tcp.example.com': [{ name: 'other', port: 4, priority: 0 }],
    '_etcd-client-empty._tcp.example.com': [],
  }
  async function resolveSrv(name: string) {
    const found = records[name]
    if (found === undefined) throw new Error(`querySrv ENOTFOUND ${name}`)
    return found
  }
  const discover = (...words: string[]) =>
    run(['get', 'k', '-d', 'example.com', ...words], { connection, resolveSrv })

  test('secure ones come first, each by priority', async () => {
    const got = await discover()
    expect(got.dialled[0]?.endpoints).toEqual([
      ...['https://early:1', 'https://late:2', 'http://plain:3'],
    ])
    expect(got.dialled[0]?.tls.serverName).toBeUndefined()
  })

  test('insecure ones can be refused, and the name of the server is then the domain', async () => {
    const got = await discover('--insecure-discovery=false')
    expect(got.dialled[0]?.endpoints).toEqual(['https://early:1', 'https://late:2'])
    expect(got.dialled[0]?.tls.serverName).toBe('example.com')
    expect(got.stderr).toBe('ignoring discovered insecure endpoint "http://plain:3"\n')
  })

  test('one service is enough', async () => {
    const got = await discover('--discovery-srv-name=x')
    expect(got.dialled[0]?.endpoints).toEqual(['http://other:4'])
  })

  test('nothing found leaves --endpoints', async () => {
    const got = await discover('--discovery-srv-name=empty', '--endpoints=a:1')
    expect(got.dialled[0]?.endpoints).toEqual(['a:1'])
  })

  test('no answer at all is an error', async () => {
    const got = await discover('--discovery-srv-name=no')
    expect(got).toMatchObject({
      code: 1,
      stderr:
        'Error: dns lookup errors: querySrv ENOTFOUND _etcd-client-ssl-no._tcp.example.com and ' +
        'querySrv ENOTFOUND _etcd-client-no._tcp.example.com\n',
      dialled: [],
    })
  })
})
