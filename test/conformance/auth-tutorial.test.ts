// The tutorial's part on roles, step by step, on three pairs of tool and server. What a reader
// types and sees is the same on each, as is what happens to who does not log in.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { etcdctl, type Finished, type Tool, tsctl } from './tools.js'

interface Served extends AsyncDisposable {
  readonly endpoint: string
}

const bundled = (): Promise<Served> => startEmbedded({ config: { bcryptCost: 4 } })
const realEtcd = (): Promise<Served> => startRealEtcd({ flags: ['--bcrypt-cost=4'] })

const pairs: readonly [string, Tool, () => Promise<Served>][] = [
  ['tsctl with the bundled server', tsctl, bundled],
  ['tsctl with a real etcd', tsctl, realEtcd],
  ['etcdctl with the bundled server', etcdctl, bundled],
]

const ok = (stdout: string) => ({ code: 0, stdout })
const fails = (text: string) => ({ code: 1, stdout: '', lastError: `Error: ${text}` })

for (const [name, tool, serve] of pairs) {
  const suite = tool === tsctl && serve === bundled ? describe : describeWithEtcd
  suite(`roles by the tutorial: ${name}`, () => {
    let server: Served
    beforeAll(async () => {
      server = await serve()
    })
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]()
    })
    const run = (...words: string[]): Promise<Finished> =>
      tool.run(words, { ETCDCTL_ENDPOINTS: server.endpoint })
    const as = (user: string, ...words: string[]) => run(`--user=${user}`, ...words)
    const type = (stdin: string, ...words: string[]): Promise<Finished> =>
      tool.run(words, { ETCDCTL_ENDPOINTS: server.endpoint }, stdin)

    test('users and roles are made, and authentication is enabled', async () => {
      expect(await run('role', 'add', 'root')).toMatchObject(ok('Role root created\n'))
      const typed = await type('secret\n', 'user', 'add', 'root', '--interactive=false')
      expect(typed).toMatchObject(ok('User root created\n'))
      expect(await run('user', 'grant-role', 'root', 'root')).toMatchObject(
        ok('Role root is granted to user root\n'),
      )
      expect(await run('user', 'get', 'root')).toMatchObject(ok('User: root\nRoles: root\n'))
      expect(await run('role', 'add', 'role0')).toMatchObject(ok('Role role0 created\n'))
      const granted = run('role', 'grant-permission', 'role0', 'readwrite', 'foo')
      expect(await granted).toMatchObject(ok('Role role0 updated\n'))
      expect(await run('user', 'add', 'user0:123')).toMatchObject(ok('User user0 created\n'))
      expect(await run('user', 'grant-role', 'user0', 'role0')).toMatchObject(
        ok('Role role0 is granted to user user0\n'),
      )
      expect(await run('auth', 'enable')).toMatchObject(ok('Authentication Enabled\n'))
    })

    test('a user gets at the keys of its role, and at no others', async () => {
      expect(await as('user0:123', 'put', 'foo', 'bar')).toMatchObject(ok('OK\n'))
      expect(await as('user0:123', 'get', 'foo')).toMatchObject(ok('foo\nbar\n'))
      const denied = fails('etcdserver: permission denied')
      expect(await as('user0:123', 'get', 'foo1')).toMatchObject(denied)
      expect(await as('user0:123', 'get', 'foo', '--prefix')).toMatchObject(denied)
      expect(await as('user0:123', 'role', 'list')).toMatchObject(denied)
      expect(await as('root:secret', 'get', 'foo1')).toMatchObject(ok(''))
    })

    test('who does not log in gets nothing', async () => {
      expect(await run('get', 'foo')).toMatchObject(fails('etcdserver: user name is empty'))
      expect(await as('user0:wrong', 'get', 'foo')).toMatchObject({ code: 2, stdout: '' })
    })

    test('a role tells what it grants, to who has it', async () => {
      const shown = 'Role role0\nKV Read:\n\tfoo\nKV Write:\n\tfoo\n'
      expect(await as('user0:123', 'role', 'get', 'role0')).toMatchObject(ok(shown))
    })

    test('when authentication is off again, everybody gets at everything', async () => {
      const off = await as('root:secret', 'auth', 'disable')
      expect(off).toMatchObject(ok('Authentication Disabled\n'))
      expect(await run('get', 'foo')).toMatchObject(ok('foo\nbar\n'))
    })
  })
}
