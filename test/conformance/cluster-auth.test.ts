// Users of a cluster of three: what one member is told holds at all of them, tokens and permissions
// alike, whoever leads; and a member that starts again knows no token of before. The same is asked
// of members of a real etcd.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { Permission_Type as Type } from '../../src/api/gen/auth.js'
import { type Fields, type Method, TokenClient } from '../server/token-client.js'
import {
  type ClusterMember,
  eventually,
  type ProcessCluster,
  type Program,
  startProcessCluster,
} from '../support/cluster.js'
import { isEtcdInstalled } from '../support/real-etcd.js'

const flags = ['--heartbeat-interval=50', '--election-timeout=500', '--bcrypt-cost=4']
const programs: Program[] = isEtcdInstalled ? ['tsctl', 'etcd'] : ['tsctl']

const invalidToken = 'Unauthenticated: etcdserver: invalid auth token'
const denied = 'PermissionDenied: etcdserver: permission denied'
const userEmpty = 'InvalidArgument: etcdserver: user name is empty'
const oldRevision = 'InvalidArgument: etcdserver: revision of auth store is old'
/** 3.4 and 3.7 give it another code. */
const notForLearners = {
  tsctl: 'FailedPrecondition: etcdserver: rpc not supported for learner',
  etcd: 'Unavailable: etcdserver: rpc not supported for learner',
}
const key = Buffer.from('k')
const other = Buffer.from('other')

/** Calls one member after the other, with the token given. */
class Users implements AsyncDisposable {
  readonly cluster: ProcessCluster
  root = ''
  readonly #clients = new Map<ClusterMember, TokenClient>()

  constructor(cluster: ProcessCluster) {
    this.cluster = cluster
  }

  client(member: ClusterMember): TokenClient {
    const found = this.#clients.get(member)
    if (found !== undefined) return found
    const client = new TokenClient(Number(member.endpoint.split(':').at(-1)))
    this.#clients.set(member, client)
    return client
  }

  at(member: ClusterMember, method: Method, fields: Fields<Method>, token?: string) {
    return this.client(member).outcome(method, fields as never, token)
  }

  /** The outcome at each member. */
  async everywhere(method: Method, fields: Fields<Method>, token?: string): Promise<string[]> {
    const outcomes: string[] = []
    for (const member of this.cluster.members) {
      outcomes.push(await this.at(member, method, fields, token))
    }
    return outcomes
  }

  /**
   * As everywhere(); but a member that has not heard of the last change yet may say that what it
   * goes by is old, and is asked again. It must not go by it.
   */
  async settledEverywhere(method: Method, fields: Fields<Method>, token: string) {
    const outcomes: string[] = []
    for (const member of this.cluster.members) {
      const outcome = await eventually('the member knows', async () => {
        const told = await this.at(member, method, fields, token)
        return told === oldRevision ? undefined : told
      })
      outcomes.push(outcome)
    }
    return outcomes
  }

  /** Root, and ann, who may read and write the key by the role some. */
  async begin(): Promise<void> {
    const [first] = this.cluster.members as [ClusterMember]
    const client = this.client(first)
    const perm = { permType: Type.READWRITE, key }
    await client.call('UserAdd', { name: 'root', password: 'r' })
    await client.call('UserGrantRole', { user: 'root', role: 'root' })
    await client.call('UserAdd', { name: 'ann', password: 'a' })
    await client.call('RoleAdd', { name: 'some' })
    await client.call('RoleGrantPermission', { name: 'some', perm })
    await client.call('UserGrantRole', { user: 'ann', role: 'some' })
    await client.call('AuthEnable', {})
    this.root = await client.logIn('root', 'r')
  }

  async statusAt(member: ClusterMember) {
    return this.client(member).call('Status', {}, this.root)
  }

  /** The auth revision too, where it can be asked for: etcd 3.4 dies at the question. */
  async stateAt(member: ClusterMember): Promise<string> {
    const client = this.client(member)
    // A read first: after it the member is as far as the others.
    await client.call('Range', { key }, this.root)
    const { hash } = await client.call('HashKV', {}, this.root)
    if (member.program === 'etcd') return String(hash)
    const { enabled, authRevision } = await client.call('AuthStatus', {}, this.root)
    return `${hash} ${enabled} ${authRevision}`
  }

  async leader(): Promise<ClusterMember> {
    return eventually('a leader', async () => {
      for (const member of this.cluster.members.filter((each) => each.isRunning)) {
        const { header, leader } = await this.statusAt(member)
        if (header?.member_id === leader) return member
      }
      return undefined
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) await client[Symbol.asyncDispose]()
  }
}

async function startThree(program: Program, more: readonly string[] = []) {
  return startProcessCluster({ programs: [program, program, program], flags: [...flags, ...more] })
}

type Three = readonly [ClusterMember, ClusterMember, ClusterMember]
const all = <T>(outcome: T): T[] => [outcome, outcome, outcome]

describe.concurrent.each(programs)('users of three members of %s', (program) => {
  test('have tokens that are good at all, until a member starts again', async () => {
    await using cluster = await startThree(program)
    await using users = new Users(cluster)
    await users.begin()
    const [first, second, third] = cluster.members as unknown as Three
    const ann = await users.client(second).logIn('ann', 'a')
    expect(await users.everywhere('Put', { key }, ann)).toEqual(all('ok'))
    expect(await users.everywhere('Range', { key }, ann)).toEqual(all('ok'))
    expect(await users.everywhere('Range', { key: other }, ann)).toEqual(all(denied))
    expect(await users.everywhere('Range', { key })).toEqual(all(userEmpty))

    const leader = await users.leader()
    const next = leader === first ? second : first
    const { header } = await users.statusAt(next)
    const targetID = header?.member_id ?? ''
    expect(await users.at(leader, 'MoveLeader', { targetID }, users.root)).toBe('ok')
    expect(await users.everywhere('Put', { key }, ann)).toEqual(all('ok'))

    // Etcd writes with a delay how far it is; after a crash it might do a login once more.
    await third.stop(program === 'tsctl' ? 'SIGKILL' : 'SIGTERM')
    await third.start()
    expect(await users.everywhere('Put', { key }, ann)).toEqual(['ok', 'ok', invalidToken])
    expect(await users.at(third, 'Range', { key }, ann)).toBe(invalidToken)
    const again = await users.client(third).logIn('ann', 'a')
    expect(await users.everywhere('Put', { key }, again)).toEqual(all('ok'))

    await next.stop('SIGKILL')
    const rest = cluster.members.filter((member) => member !== next)
    await eventually('the others go on', async () => {
      const outcomes = await Promise.all(
        rest.map((each) => users.at(each, 'Range', { key }, again)),
      )
      return outcomes.every((outcome) => outcome === 'ok') ? true : undefined
    })
  })

  test('may everywhere what they may at one, at once', async () => {
    await using cluster = await startThree(program)
    await using users = new Users(cluster)
    await users.begin()
    const [first, second] = cluster.members as unknown as Three
    const ann = await users.client(second).logIn('ann', 'a')
    for (let round = 0; round < 6; round++) {
      const isGranted = round % 2 === 1
      const change = isGranted ? 'UserGrantRole' : 'UserRevokeRole'
      const names = isGranted ? { user: 'ann', role: 'some' } : { name: 'ann', role: 'some' }
      const member = cluster.members[round % 3] as ClusterMember
      expect(await users.at(member, change, names, users.root)).toBe('ok')
      for (const method of ['Put', 'Range'] as const) {
        const outcomes = await users.settledEverywhere(method, { key }, ann)
        expect(outcomes).toEqual(all(isGranted ? 'ok' : denied))
      }
    }
    const password = { name: 'ann', password: 'b' }
    expect(await users.at(first, 'UserChangePassword', password, users.root)).toBe('ok')
    expect(await users.settledEverywhere('Put', { key }, ann)).toEqual(all(invalidToken))
    expect(await users.client(second).logIn('ann', 'b')).toMatch(/^[A-Za-z]{16}\.\d+$/)
    const states = new Set<string>()
    for (const each of cluster.members) states.add(await users.stateAt(each))
    expect(states.size).toBe(1)
  })

  test('are known to a learner, which serves little', async () => {
    await using cluster = await startThree(program)
    await using users = new Users(cluster)
    await users.begin()
    const [first] = cluster.members as unknown as Three
    const learner = await cluster.newMember(program)
    const added = { peerURLs: [learner.peerUrl], isLearner: true }
    await eventually('the cluster takes another member', async () => {
      const outcome = await users.at(first, 'MemberAdd', added, users.root)
      return outcome === 'ok' ? true : undefined
    })
    await learner.start([
      `--initial-cluster=${cluster.initialCluster()}`,
      '--initial-cluster-state=existing',
    ])
    const ann = await users.client(first).logIn('ann', 'a')
    const stale = { key, serializable: true }
    await eventually('it knows the token', async () => {
      const outcome = await users.at(learner, 'Range', stale, ann)
      return outcome === 'ok' ? true : undefined
    })
    const asked = async (method: Method, fields: Fields<Method>, token?: string) =>
      users.at(learner, method, fields, token)
    expect(await asked('Range', { key: other, serializable: true }, ann)).toBe(denied)
    expect(await asked('Range', stale)).toBe(userEmpty)
    expect(await asked('Range', stale, 'AAAAAAAAAAAAAAAA.7')).toBe(invalidToken)
    for (const [method, fields] of [
      ['Range', { key }],
      ['Put', { key }],
      ['Authenticate', { name: 'ann', password: 'a' }],
      ['UserList', {}],
    ] as const) {
      expect(await asked(method, fields, ann)).toBe(notForLearners[program])
    }
  })
})

test.concurrent('signed tokens need no member to know them, until something changes', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'cluster-jwt-'))
  try {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const at = { private: path.join(dir, 'key'), public: path.join(dir, 'pub') }
    await writeFile(at.private, privateKey.export({ type: 'sec1', format: 'pem' }))
    await writeFile(at.public, publicKey.export({ type: 'spki', format: 'pem' }))
    const flag = `--auth-token=jwt,sign-method=ES256,priv-key=${at.private},pub-key=${at.public}`
    await using cluster = await startThree('tsctl', [flag])
    await using users = new Users(cluster)
    await users.begin()
    const [first, , third] = cluster.members as unknown as Three
    const ann = await users.client(first).logIn('ann', 'a')
    await third.stop('SIGKILL')
    await third.start()
    expect(await users.everywhere('Put', { key }, ann)).toEqual(all('ok'))
    expect(await users.everywhere('Range', { key: other }, ann)).toEqual(all(denied))
    expect(await users.at(first, 'RoleAdd', { name: 'more' }, users.root)).toBe('ok')
    // Each read waits until its member knows of the change.
    expect(await users.everywhere('Range', { key }, ann)).toEqual(all(oldRevision))
    expect(await users.everywhere('Put', { key }, ann)).toEqual(all(oldRevision))
    const again = await users.client(third).logIn('ann', 'a')
    expect(await users.everywhere('Put', { key }, again)).toEqual(all('ok'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
