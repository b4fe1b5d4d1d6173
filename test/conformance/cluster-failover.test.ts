// Clients that know three endpoints while the leader is killed: Node's etcd3, Go's etcdctl and
// tsctl's own connection. They hear nothing from members of the bundled server that members of a
// real etcd do not say as well, they go on by themselves, and what was acknowledged is there
// afterwards.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Etcd3 } from 'etcd3'
import { expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connection.js'
import { connected } from '../connection/connecting.js'
import {
  leaderOf,
  type ProcessCluster,
  type Program,
  startProcessCluster,
} from '../support/cluster.js'
import { describeWithEtcd } from '../support/real-etcd.js'

const flags = ['--heartbeat-interval=50', '--election-timeout=500']
/** Acknowledged before the leader is killed, and again afterwards. */
const acknowledgedMin = 10
const patienceMs = 2_000

/** What a write may end with that a follower has passed on to a leader that is dead. */
const lost = /context deadline exceeded|etcdserver: (request timed out|no leader|leader changed)/
/** Or what the dead one had taken in, or was about to. */
const broken =
  /transport is closing|connection (to \S+ lost|error|refused|reset|closed|dropped)|ECONN|EOF/i

interface Writer {
  name: string
  put(key: string, value: string): Promise<unknown>
}

/** Writes one key after the other, until enough is acknowledged of what began after the kill. */
class Load {
  readonly acknowledged = new Map<string, string>()
  readonly errors: string[] = []
  /** Resolves when enough is acknowledged for the leader to be killed. */
  readonly warm: Promise<void>
  readonly done: Promise<void>
  isKilled = false
  #becomeWarm: () => void = () => {}

  constructor(writer: Writer) {
    this.warm = new Promise((resolve) => {
      this.#becomeWarm = resolve
    })
    this.done = this.#run(writer)
  }

  async #run({ name, put }: Writer): Promise<void> {
    for (let i = 0, after = 0; after < acknowledgedMin; i++) {
      const { isKilled } = this
      try {
        await put(`${name}/${i}`, `v${i}`)
        this.acknowledged.set(`${name}/${i}`, `v${i}`)
        if (isKilled) after++
        if (this.acknowledged.size === acknowledgedMin) this.#becomeWarm()
      } catch (error) {
        const { message, stderr } = error as Error & { stderr?: string }
        this.errors.push(`${name}: ${stderr ?? message}`)
      }
    }
  }
}

function etcdctl({ endpoints }: ProcessCluster): Writer {
  const env = { PATH: process.env.PATH, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoints.join(',') }
  const run = promisify(execFile)
  const flag = `--command-timeout=${patienceMs}ms`
  return {
    name: 'etcdctl',
    put: (key, value) => run('etcdctl', [flag, 'put', key, value], { env, timeout: 60_000 }),
  }
}

const etcd3 = (client: Etcd3): Writer => ({
  name: 'etcd3',
  put: (key, value) => client.put(key).value(value).exec(),
})

const own = ({ kv }: Connection): Writer => ({
  name: 'own',
  put: (key, value) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, { deadlineMs: patienceMs }),
})

describeWithEtcd('clients of three members, whose leader is killed', () => {
  const programs: Program[] = ['tsctl', 'etcd']
  test.concurrent.each(programs)('of %s', async (program) => {
    await using cluster = await startProcessCluster({
      programs: [program, program, program],
      flags,
    })
    await using connection = await connected(cluster.endpoints)
    const client = new Etcd3({ hosts: cluster.endpoints.map((endpoint) => `http://${endpoint}`) })
    try {
      const loads = [etcdctl(cluster), etcd3(client), own(connection)].map((each) => new Load(each))
      const leader = await leaderOf(cluster.members)
      await Promise.all(loads.map(({ warm }) => warm))
      await leader.stop('SIGKILL')
      for (const load of loads) load.isKilled = true
      await Promise.all(loads.map(({ done }) => done))
      for (const { acknowledged, errors } of loads) {
        expect(errors.filter((error) => !lost.test(error) && !broken.test(error))).toEqual([])
        for (const [key, value] of acknowledged) {
          expect(await client.get(key).string()).toBe(value)
        }
      }
    } finally {
      client.close()
    }
  })
})
