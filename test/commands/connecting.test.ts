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
