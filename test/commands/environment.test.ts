// Where the value of a global flag comes from: the command line, else its variable, else its
// default; and what --debug tells about it.
import { describe, expect, test } from 'vitest'
import { RangeResponse } from '../../src/api/gen/rpc.js'
import { globalOptions } from '../../src/commands/environment.js'
import { type GlobalOptions, globalFlags, variableOf } from '../../src/commands/global-flags.js'
import { parse } from '../../src/commands/parse.js'
import { run } from './run.js'

const options = (words: readonly string[], env: Record<string, string> = {}): GlobalOptions =>
  globalOptions(parse(words, globalFlags), env)

test('without words and variables everything has etcdctl’s default', () => {
  expect(options([])).toEqual({
    endpoints: ['127.0.0.1:2379'],
    writeOut: 'simple',
    hex: false,
    debug: false,
    dialTimeoutMs: 2000,
    commandTimeoutMs: 5000,
    commandTimeoutGiven: false,
    keepaliveTimeMs: 2000,
    keepaliveTimeoutMs: 6000,
    maxRequestBytes: 0,
    maxRecvBytes: 0,
    insecureTransport: true,
    insecureDiscovery: true,
    insecureSkipTlsVerify: false,
    cert: undefined,
    key: undefined,
    cacert: undefined,
    user: '',
    password: '',
    authJwtToken: '',
    discoverySrv: '',
    discoverySrvName: '',
    tableStyle: 'ascii',
    color: 'auto',
  })
})

/** A value of each kind that is not a default, and what it is read as. */
const samples: Readonly<Record<string, readonly [string, unknown]>> = {
  strings: ['a,"b,c"', ['a', 'b,c']],
  duration: ['1m1s', 61_000],
  int: ['0x10', 16],
  string: ['text', 'text'],
}

test.each(globalFlags.map((flag) => [flag.name, flag] as const))(
  '--%s can be given by its variable, and the flag beats it',
  (name, flag) => {
    const choices: Record<string, string> = { 'table-style': 'unicode', color: 'never' }
    const choice = choices[name]
    const [text, value] = flag.isBoolean
      ? [String(!flag.default), !flag.default]
      : choice !== undefined
        ? [choice, choice]
        : (samples[flag.placeholder ?? ''] ?? ['', ''])
    expect(options([], { [variableOf(name)]: text })[flag.key]).toEqual(value)
    expect(options([], { [variableOf(name)]: '' })[flag.key]).toEqual(flag.default)
    const words = [`--${name}=${flag.defaultText}`]
    const given = options(words, { [variableOf(name)]: text })[flag.key]
    expect(given).toEqual(flag.defaultText === '' ? '' : flag.default)
  },
)

test('a time limit that was given is told from the default', () => {
  expect(options(['--command-timeout=5s']).commandTimeoutGiven).toBe(true)
  expect(options([], { ETCDCTL_COMMAND_TIMEOUT: '5s' }).commandTimeoutGiven).toBe(true)
  expect(options([], { ETCDCTL_COMMAND_TIMEOUT: '' }).commandTimeoutGiven).toBe(false)
})

describe('through a command', () => {
  const answer = Buffer.from(RangeResponse.encode(RangeResponse.fromPartial({})).finish())
  const connection = () => ({ rangeRaw: async () => answer })

  test('a variable that cannot be read is an error that names it, before anything is dialled', async () => {
    const got = await run(['get', 'k'], { connection, env: { ETCDCTL_DIAL_TIMEOUT: 'soon' } })
    expect(got).toMatchObject({
      code: 1,
      stderr:
        'Error: invalid value "soon" of environment variable ETCDCTL_DIAL_TIMEOUT: ' +
        'time: invalid duration "soon"\n',
      dialled: [],
    })
  })

  test('commands without a connection do not look at variables', async () => {
    const env = { ETCDCTL_DIAL_TIMEOUT: 'soon', ETCDCTL_WRITE_OUT: 'nope' }
    expect(await run(['version'], { env })).toMatchObject({ code: 0, stderr: '' })
  })

  test('variables that are nobody’s are let be', async () => {
    const env = { ETCDCTL_API: '3', ETCDCTL_FOO: '1', ETCDCTL_ENDPOINTS: 'a:1, b:2' }
    const got = await run(['get', 'k'], { connection, env })
    expect(got).toMatchObject({ code: 0, stderr: '' })
    expect(got.dialled[0]?.endpoints).toEqual(['a:1', ' b:2'])
  })

  test('--debug tells every setting, but no secret', async () => {
    const words = ['get', 'k', '--debug', '--user=me:pw', '--hex', '--endpoints=a,b']
    const env = { ETCDCTL_API: '3', ETCDCTL_FOO: '1', ETCDCTL_HEX: 'false', ETCDCTL_PASSWORD: 'pw' }
    const { stderr } = await run(words, { connection, env })
    const lines = stderr.split('\n')
    expect(lines.filter((line) => line.includes('='))).toHaveLength(globalFlags.length)
    expect(lines).toContain('ETCDCTL_ENDPOINTS=[a,b]')
    expect(lines).toContain('ETCDCTL_COMMAND_TIMEOUT=5s')
    expect(lines).toContain('ETCDCTL_USER=me:***')
    expect(lines).toContain('ETCDCTL_PASSWORD=***')
    expect(lines).toContain('ETCDCTL_FOO is set and belongs to no global flag')
    expect(lines).toContain('--hex was given: ETCDCTL_HEX does not count')
    expect(stderr).not.toContain('pw')
    const names = lines.filter((line) => line.includes('=')).map((line) => line.split('=')[0])
    expect(names).toEqual([...names].sort())
  })
})
