// auth, user, role and downgrade: the checks of their words, the requests that they become, where
// passwords come from, and that passwords stay with those whom they concern.
import { describe, expect, test } from 'vitest'
import { Permission_Type } from '../../src/api/gen/auth.js'
import * as rpc from '../../src/api/gen/rpc.js'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { grantPermissionOptions, revokePermissionOptions } from '../../src/commands/role.js'
import { titleWithoutSecrets } from '../../src/commands/title.js'
import { userAddOptions } from '../../src/commands/user.js'
import { failing, lastLine, type Run, run, type Surroundings } from './run.js'

describe('words that are refused', () => {
  const noText = 'rpc error: code = Internal desc = grpc: error while marshaling: string field'
  const roleWords = 'role name, permission type, and key [endkey]'
  test.each<[string[], number, string]>([
    [['auth', 'enable', 'x'], 128, 'auth enable command does not accept any arguments'],
    [['auth', 'disable', 'x'], 128, 'auth disable command does not accept any arguments'],
    [['auth', 'status', 'x'], 128, 'auth status command does not accept any arguments'],
    [['user', 'add'], 128, 'user add command requires user name as its argument'],
    [['user', 'add', 'a', 'b'], 128, 'user add command requires user name as its argument'],
    [['user', 'add', ':pw'], 128, 'empty user name is not allowed'],
    [['user', 'delete'], 128, 'user delete command requires user name as its argument'],
    [['user', 'get', 'a', 'b'], 128, 'user get command requires user name as its argument'],
    [['user', 'list', 'x'], 128, 'user list command requires no arguments'],
    [['user', 'passwd'], 128, 'user passwd command requires user name as its argument'],
    [
      ['user', 'grant-role', 'a'],
      128,
      'user grant command requires user name and role name as its argument',
    ],
    [
      ['user', 'revoke-role', 'a', 'b', 'c'],
      128,
      'user revoke-role requires user name and role name as its argument',
    ],
    [['role', 'add'], 128, 'role add command requires role name as its argument'],
    [['role', 'delete', 'a', 'b'], 128, 'role delete command requires role name as its argument'],
    [['role', 'get'], 128, 'role get command requires role name as its argument'],
    [['role', 'list', 'x'], 128, 'role list command requires no arguments'],
    [
      ['role', 'grant-permission', 'r', 'read'],
      128,
      `role grant command requires ${roleWords} as its argument`,
    ],
    [['role', 'grant-permission', 'r', 'execute', 'k'], 128, 'invalid permission type: execute'],
    [
      ['role', 'grant-permission', 'r', 'read', 'k', '--prefix', '--from-key'],
      128,
      '--from-key and --prefix flags are mutually exclusive',
    ],
    [
      ['role', 'grant-permission', 'r', 'read', 'k', 'l', '--prefix'],
      128,
      'unexpected endkey argument with --prefix flag',
    ],
    [
      ['role', 'revoke-permission', 'r', 'k', 'l', '--from-key'],
      128,
      'unexpected endkey argument with --from-key flag',
    ],
    [
      ['role', 'revoke-permission', 'r'],
      128,
      'role revoke-permission command requires role name and key [endkey] as its argument',
    ],
    [['downgrade', 'validate'], 128, 'TARGET_VERSION not provided'],
    [['downgrade', 'enable', '3.6', '3.5'], 128, 'too many arguments'],
    [['downgrade', 'enable', ''], 128, 'target version not provided'],
    [['role', 'add', 'bad\udcff'], 1, `${noText} contains invalid UTF-8`],
    [['user', 'grant-role', 'u', 'bad\udcff'], 1, `${noText} contains invalid UTF-8`],
  ])('%j', async (words, code, message) => {
    const got = await run(words)
    expect({ code: got.code, stderr: got.stderr }).toEqual({ code, stderr: `Error: ${message}\n` })
    expect(got.dialled).toEqual([])
  })
})

describe('where the password of a new user comes from', () => {
  const flags = { interactive: true, newUserPassword: '', noPassword: false }
  test.each<[Partial<typeof flags>, string, string, unknown]>([
    [{}, 'a:b:c', 'a', { known: 'b:c' }],
    [{}, 'a:', 'a', { known: '' }],
    [{}, 'a', 'a', 'prompt'],
    [{ interactive: false }, 'a', 'a', 'input'],
    [{ interactive: false }, 'a:b', 'a', { known: 'b' }],
    [{ newUserPassword: 'pw' }, 'a:b', 'a:b', { known: 'pw' }],
    [{ noPassword: true, newUserPassword: 'pw' }, 'a:b', 'a:b', 'nowhere'],
  ])('%j %s', (given, word, user, password) => {
    expect(userAddOptions({ ...flags, ...given }, [word])).toEqual({ user, password })
  })
})

describe('the keys of a permission', () => {
  const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
  const none = { prefix: false, fromKey: false }
  test.each<[object, string[], string, string]>([
    [{}, ['k'], 'k', ''],
    [{}, ['k', 'm'], 'k', 'm'],
    [{}, ['k', 'm', 'ignored'], 'k', 'm'],
    [{ prefix: true }, ['k'], 'k', 'l'],
    [{ prefix: true }, ['\udcff\udcff'], '\xff\xff', '\0'],
    [{ fromKey: true }, ['k'], 'k', '\0'],
    [{}, [''], '\0', ''],
    [{}, ['', 'm'], '\0', 'm'],
    [{ prefix: true }, [''], '\0', '\0'],
    [{ fromKey: true }, [''], '\0', '\0'],
  ])('%j %j', (flags, [key = '', ...end], first, last) => {
    const range = { key: bytes(first), range_end: bytes(last) }
    const words = ['r', 'ReadWrite', key, ...end]
    expect(grantPermissionOptions({ ...none, ...flags }, words)).toEqual({
      role: 'r',
      permType: Permission_Type.READWRITE,
      range,
    })
    const revoked = revokePermissionOptions({ ...none, ...flags }, ['r', key, ...end])
    expect(revoked).toMatchObject({ role: 'r', range })
  })
})

/** What a service was asked, and answers that are empty. */
async function asked(
  words: readonly string[],
  around: Omit<Surroundings, 'connection'> = {},
): Promise<{ got: Run; calls: unknown[][] }> {
  const calls: unknown[][] = []
  const service = new Proxy(
    {},
    {
      get: (_, method: string) => async (request: unknown) => {
        calls.push(request === undefined ? [method] : [method, request])
        return rpc.AuthRoleGetResponse.fromPartial({})
      },
    },
  )
  const got = await run(words, { ...around, connection: () => ({ auth: service }) })
  return { got, calls }
}

describe('passwords that are asked for', () => {
  test('twice at a prompt', async () => {
    const { got, calls } = await asked(['user', 'add', 'ann'], { stdin: 'pw 1\npw 1\n' })
    const prompts = 'Password of ann: \nType password of ann again for confirmation: \n'
    expect(got.stdout.toString()).toBe(`${prompts}User ann created\n`)
    const request = { name: 'ann', password: 'pw 1', options: { no_password: false } }
    expect(calls).toEqual([['userAdd', request]])
  })

  test.each([
    ['\n', 'empty password'],
    ['', 'empty password'],
    ['a\nb\n', 'given passwords are different'],
    ['a', 'given passwords are different'],
  ])('%j is refused before anything is connected to', async (stdin, message) => {
    const got = await run(['user', 'passwd', 'ann'], { stdin })
    expect({ code: got.code, error: lastLine(got) }).toEqual({
      code: 128,
      error: `Error: ${message}`,
    })
    expect(got.dialled).toEqual([])
  })

  test.each([
    ['pw rest\nmore\n', 'pw'],
    ['  pw', 'pw'],
    ['', ''],
  ])('without a prompt the first word of %j', async (stdin, password) => {
    const words = ['user', 'passwd', 'ann', '--interactive=false']
    const { got, calls } = await asked(words, { stdin })
    expect(calls).toEqual([['userChangePassword', { name: 'ann', password }]])
    expect(got.stdout.toString()).toBe('Password updated\n')
  })

  test('the password of the one who asks comes after that of the new user', async () => {
    const words = ['user', 'add', 'ann', '--user', 'root']
    const { got } = await asked(words, { stdin: 'new\nnew\nrootpw\n' })
    expect(got.dialled[0]?.user).toEqual({ name: 'root', password: 'rootpw' })
    expect(got.stdout.toString()).toMatch(/^Password of ann: \nType .*\nPassword: \nUser/)
  })

  test('--no-password is not taken for --password of the global flags', async () => {
    const words = ['user', 'add', 'ann', '--no-password', '--user', 'root', '--password', 'rootpw']
    const { got, calls } = await asked(words)
    expect(got.dialled[0]?.user).toEqual({ name: 'root', password: 'rootpw' })
    const request = { name: 'ann', password: '', options: { no_password: true } }
    expect(calls).toEqual([['userAdd', request]])
  })
})

test('--debug shows no password', async () => {
  const words = ['user', 'add', 'ann:hidden1', '--debug', '--user', 'root:hidden2']
  const { got } = await asked([...words, '--password=hidden3', '--auth-jwt-token=hidden4'])
  expect(got.stderr).toContain('ETCDCTL_USER=root')
  expect(got.stderr + got.stdout).not.toContain('hidden')
})

test.each([
  [['get', 'k', '--user=root:pw'], true],
  [['get', 'k', '--user', 'root:pw'], true],
  [['--password', 'pw', 'get', 'k'], true],
  [['user', 'add', 'ann:pw'], true],
  [['us', 'a', 'ann:pw'], true],
  [['make-mirror', 'x', '--dest-password=pw'], true],
  [['get', 'k', '--users'], false],
  [['watch', 'k', '--rev', '5'], false],
])('whether the title of %j is hidden', (words, isHidden) => {
  const title = titleWithoutSecrets(words)
  expect(title !== undefined).toBe(isHidden)
  expect(`${title}`).not.toContain('pw')
})

describe('auth enable', () => {
  const enabling = async (problems: Record<string, Error[]>): Promise<[Run, string[]]> => {
    const calls: string[] = []
    const auth = new Proxy(
      {},
      {
        get: (_, method: string) => async () => {
          calls.push(method)
          const problem = problems[method]?.shift()
          if (problem !== undefined) await failing(problem)()
        },
      },
    )
    return [await run(['auth', 'enable'], { connection: () => ({ auth }) }), calls]
  }

  test('gives root the role that it must have', async () => {
    const [got, calls] = await enabling({ authEnable: [new EtcdError('rootRoleNotExist')] })
    expect(calls).toEqual(['authEnable', 'roleAdd', 'userGrantRole', 'authEnable'])
    expect(got.stdout.toString()).toBe('Authentication Enabled\n')
  })

  test('also when the role is there and not granted', async () => {
    const [got, calls] = await enabling({
      authEnable: [new EtcdError('rootRoleNotExist')],
      roleAdd: [new EtcdError('roleAlreadyExist')],
    })
    expect(calls).toEqual(['authEnable', 'roleAdd', 'userGrantRole', 'authEnable'])
    expect(got.code).toBe(0)
  })

  test('makes no root user', async () => {
    const [got, calls] = await enabling({ authEnable: [new EtcdError('rootUserNotExist')] })
    expect(calls).toEqual(['authEnable'])
    expect([got.code, got.stderr]).toEqual([1, 'Error: etcdserver: root user does not exist\n'])
  })
})

test('user get --detail asks for each role', async () => {
  const auth = {
    userGet: async () => rpc.AuthUserGetResponse.fromPartial({ roles: ['r1', 'r2'] }),
    roleGet: async () => rpc.AuthRoleGetResponse.fromPartial({}),
  }
  const got = await run(['user', 'get', 'ann', '--detail'], { connection: () => ({ auth }) })
  const role = (name: string): string => `\nRole ${name}\nKV Read:\nKV Write:\n`
  expect(got.stdout.toString()).toBe(`User: ann\n${role('r1')}${role('r2')}`)
})

test.each([
  ['validate', ['3.6'], { action: 0, version: '3.6' }],
  ['enable', ['3.6.1'], { action: 1, version: '3.6.1' }],
  ['cancel', ['ignored'], { action: 2, version: '' }],
])('downgrade %s', async (word, args, request) => {
  const requests: unknown[] = []
  const maintenance = {
    async downgrade(one: unknown) {
      requests.push(one)
      return rpc.DowngradeResponse.fromPartial({ version: '3.7.0' })
    },
  }
  const got = await run(['downgrade', word, ...args], { connection: () => ({ maintenance }) })
  expect(requests).toEqual([request])
  expect(got.stdout.toString()).toBe(`Downgrade ${word} success, cluster version 3.7.0\n`)
})
