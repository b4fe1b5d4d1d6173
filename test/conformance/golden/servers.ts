// servers.ts: the servers of a recorded group, arranged as they were when it was recorded: one
// member, one with a small quota, two that know nothing of each other, or a cluster of three. Each
// is a real etcd or the bundled server. Ports are free ones; `addresses` says what became of which.
import { startEmbedded } from '../../support/embedded.js'
import { freePorts, startRealEtcd } from '../../support/real-etcd.js'

export type ServerKind = 'etcd' | 'bundled'

export interface Servers extends AsyncDisposable {
  /** Recorded address to real one, for clients and peers, and for the one where nobody listens. */
  readonly addresses: ReadonlyMap<string, string>
  start(name: string): Promise<void>
  stop(name: string): Promise<void>
}

interface Member extends AsyncDisposable {
  readonly endpoint: string
  stop(): Promise<void>
}

interface MemberPlan {
  name: string
  /** As recorded: 24200 and 24220. */
  clientPort: number
  peerPort: number
  token: string
  quotaBytes?: number
}

const clusterToken = 'tsctl-golden'

const plan = (name: string, at: number): MemberPlan => ({
  name,
  clientPort: 24200 + at,
  peerPort: 24220 + at,
  token: clusterToken,
})

/** Members that stand alone; the first is the one that most cases talk to. */
const lonely: Readonly<Record<string, readonly MemberPlan[]>> = {
  single: [plan('golden0', 0)],
  'single, --quota-backend-bytes=49152': [{ ...plan('golden0', 0), quotaBytes: 49152 }],
  'single, and a second one at 127.0.0.1:24201': [
    plan('golden0', 0),
    { ...plan('golden1', 1), token: 'tsctl-golden-2' },
  ],
}

/** The first three make the cluster, the fourth joins it later. */
const clustered = [plan('m1', 0), plan('m2', 1), plan('m3', 2), plan('m4', 3)]

const isCluster = (arrangement: string): boolean => arrangement === 'cluster'

export async function startServers(kind: ServerKind, arrangement: string): Promise<Servers> {
  const plans = isCluster(arrangement) ? clustered : (lonely[arrangement] ?? [])
  const [deadPort = 0, ...peerPorts] = await freePorts(plans.length + 1)
  const addresses = new Map([['127.0.0.1:24299', `127.0.0.1:${deadPort}`]])
  plans.forEach(({ peerPort }, at) => {
    addresses.set(`127.0.0.1:${peerPort}`, `127.0.0.1:${peerPorts[at]}`)
  })
  const peerUrl = ({ peerPort }: MemberPlan): string =>
    `http://${addresses.get(`127.0.0.1:${peerPort}`)}`
  const running = new Map<string, Member>()
  const starters = { etcd: startEtcd, bundled: startBundled }

  async function start(one: MemberPlan, peers: readonly MemberPlan[]): Promise<void> {
    const member = await starters[kind](one, {
      peerUrl: peerUrl(one),
      cluster: peers.map((peer) => `${peer.name}=${peerUrl(peer)}`).join(','),
      state: peers.length > 3 ? 'existing' : 'new',
    })
    running.set(one.name, member)
    addresses.set(`127.0.0.1:${one.clientPort}`, member.endpoint)
  }
  async function dispose(): Promise<void> {
    await Promise.all([...running.values()].map((member) => member[Symbol.asyncDispose]()))
  }

  try {
    const first = plans.slice(0, 3)
    await Promise.all(first.map((one) => start(one, isCluster(arrangement) ? first : [one])))
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    addresses,
    async start(name) {
      const joining = plans.find((one) => one.name === name)
      if (joining !== undefined) await start(joining, plans)
    },
    stop: async (name) => running.get(name)?.stop(),
    [Symbol.asyncDispose]: dispose,
  }
}

interface Place {
  peerUrl: string
  cluster: string
  state: 'new' | 'existing'
}

const startEtcd = ({ name, token, quotaBytes }: MemberPlan, place: Place): Promise<Member> =>
  startRealEtcd({
    flags: [
      `--name=${name}`,
      `--initial-cluster=${place.cluster}`,
      `--initial-cluster-state=${place.state}`,
      `--initial-cluster-token=${token}`,
      `--listen-peer-urls=${place.peerUrl}`,
      `--initial-advertise-peer-urls=${place.peerUrl}`,
      '--bcrypt-cost=4',
      ...(quotaBytes === undefined ? [] : [`--quota-backend-bytes=${quotaBytes}`]),
    ],
  })

const startBundled = ({ name, token, quotaBytes }: MemberPlan, place: Place): Promise<Member> =>
  startEmbedded({
    config: {
      name,
      initialCluster: place.cluster,
      initialClusterState: place.state,
      initialClusterToken: token,
      listenPeerUrls: [place.peerUrl],
      initialAdvertisePeerUrls: [place.peerUrl],
      bcryptCost: 4,
      ...(quotaBytes !== undefined && { quotaBackendBytes: quotaBytes }),
    },
  })
