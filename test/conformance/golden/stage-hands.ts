// stage-hands.ts: what was done by hand between the recorded cases: members that join and stop,
// files that are damaged, the time that a cluster needs. fixtures/golden/etcdctl-3.4/README.md has
// the list.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Case } from './recording.js'
import { runCommand, type Stage } from './replay.js'
import type { Servers } from './servers.js'

export interface StageHands {
  /** Before the first case of the group. */
  open(): Promise<void>
  before(one: Case): Promise<void>
  after(one: Case): Promise<void>
}

export function stageHands(group: string, stage: Stage, servers: Servers): StageHands {
  const ctl = async (...argv: string[]): Promise<string> => {
    const { stdout } = await runCommand({ argv }, bareCase, { ...stage, client: stage.hands })
    return stdout.toString()
  }
  const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (await isTrue()) return
      await passed(50)
    }
    throw new Error('the cluster does not come to rest')
  }
  const members = async (): Promise<string[][]> =>
    (await ctl('member', 'list'))
      .trim()
      .split('\n')
      .map((line) => line.split(', '))
  const leaders = async (): Promise<Set<string>> => {
    const text = await ctl('endpoint', 'status', `--endpoints=${clusterEndpoints}`, '-w', 'json')
    return new Set([...text.matchAll(/"leader":(\d+)/g)].map(([, id = '']) => id))
  }
  const isLedByOne = async (): Promise<boolean> => (await leaders()).size === 1

  async function openCluster(): Promise<void> {
    for (const [id = '', , name = ''] of await members()) stage.captured.set(`ID_${name}`, id)
    await ctl('move-leader', `{{ID_m1}}`, `--endpoints=${clusterEndpoints}`)
    await until(isLedByOne)
    if (group === 'member') await untilChangeable()
  }

  /** Peers must have been connected for five seconds before etcd lets the membership change. */
  async function untilChangeable(): Promise<void> {
    let added = ''
    await until(async () => {
      added = await ctl('member', 'add', 'passing', `--peer-urls=${passingUrl}`, '--learner')
      return added.startsWith('Member ')
    })
    await ctl('member', 'remove', /^Member +(\w+) added/.exec(added)?.[1] ?? '')
  }

  const beforeCase: Readonly<Record<string, () => Promise<void>>> = {
    'member/list-learner/simple': async () => {
      let added = ''
      await until(async () => {
        added = await ctl('member', 'add', 'm4', `--peer-urls=${m4Url}`, '--learner')
        return added.startsWith('Member ') // not in the second in which it was added before
      })
      stage.captured.set('ID_m4', /^Member +(\w+) added/.exec(added)?.[1] ?? '')
      await servers.start('m4')
    },
    'member/promote/simple': () =>
      until(async () => {
        const text = await ctl('endpoint', 'status', `--endpoints=${m4Endpoint}`, '-w', 'json')
        const [, index] = /"raftIndex":(\d+)/.exec(text) ?? []
        return index !== undefined && text.includes(`"raftAppliedIndex":${index}`)
      }),
    'move-leader/simple': async () => {
      // Those that were added and never started, one after the other: m9 holds the quorum up.
      for (const [id = '', status] of await members()) {
        if (status === 'unstarted') await ctl('member', 'remove', id)
      }
    },
    'endpoint/one-down/health-simple': () => servers.stop('m3'),
    'cluster/no-quorum-get': () => servers.stop('m2'),
    'snapshot/save/json': async () => {
      const file = (name: string): string => path.join(stage.cwd, name)
      const saved = await readFile(file('snap.db'))
      const corrupt = Buffer.from(saved)
      corrupt[5000] = (saved[5000] ?? 0) ^ 1
      await writeFile(file('garbage.db'), 'not a bolt file'.repeat(400))
      await writeFile(file('nohash.db'), saved.subarray(0, -32))
      await writeFile(file('corrupt.db'), corrupt)
    },
  }
  const captureUnstarted = async (name: string): Promise<void> => {
    const [id = ''] = (await members()).find(([, status]) => status === 'unstarted') ?? []
    stage.captured.set(name, id)
  }
  const afterCase: Readonly<Record<string, () => Promise<void>>> = {
    'member/remove/json': () => servers.stop('m4'),
    'member/add/json': () => captureUnstarted('ID_m5'),
    'member/add-unhealthy': async () => {
      // A newer server took it in.
      for (const [id = '', status] of await members()) {
        if (status === 'unstarted' && id !== stage.captured.get('ID_m5')) {
          await ctl('member', 'remove', id)
        }
      }
    },
    'member/add/fields': () => captureUnstarted('ID_m8'),
  }
  if (group === 'make_mirror') {
    stage.effect = () =>
      until(async () => {
        const copied = await ctl('get', '--prefix', '', '--endpoints=127.0.0.1:24201')
        return copied === 'copy/2\nb\ncopy/3\nc\n'
      })
  }
  return {
    open: async () => {
      if (group === 'member' || group === 'endpoint') await openCluster()
    },
    before: async ({ name }) => beforeCase[name]?.(),
    async after({ name }) {
      await afterCase[name]?.()
      if (name.startsWith('move-leader/')) await until(isLedByOne)
    },
  }
}

const clusterEndpoints = '127.0.0.1:24200,127.0.0.1:24201,127.0.0.1:24202'
const m4Url = 'http://127.0.0.1:24223'
const m4Endpoint = '127.0.0.1:24203'
/** Of a member that never starts: nobody listens there. */
const passingUrl = 'http://127.0.0.1:1'

const attemptsMax = 1_000

const bareCase: Pick<Case, 'env'> = {
  env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: '127.0.0.1:24200' },
}

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
