// Ways in which unit files, manifests and scripts start etcd, each with a real etcd and with the
// bundled server under the name of etcd: both must be the same member afterwards.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { eventually, startProcessCluster } from '../support/cluster.js'
import { describeWithEtcd, freePorts } from '../support/real-etcd.js'
import { runTsctl, startServerProcess } from '../support/server-process.js'

const tsctl = path.join(import.meta.dirname, '../../bin/tsctl.js')

interface Start {
  args: readonly string[]
  env?: Record<string, string>
  /** Content of `etcd.yml` in the working directory. */
  file?: string
}

const ways: Record<string, (client: string, peer: string) => Start> = {
  'flags with one dash': (client, peer) => ({
    args: [
      ...['-name', 'm1', `-advertise-client-urls=${client}`, '-listen-client-urls', client],
      ...['-listen-peer-urls', peer, `-initial-advertise-peer-urls=${peer}`],
      ...[`-initial-cluster=m1=${peer}`, '-quota-backend-bytes', '-10'],
    ],
  }),
  'a static pod': (client, peer) => ({
    args: [
      ...['--name=m1', '--data-dir=data', '--snapshot-count=10000', '--client-cert-auth=false'],
      ...[`--advertise-client-urls=${client}`, `--listen-client-urls=${client}`],
      ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
      ...[`--initial-cluster=m1=${peer}`, '--peer-client-cert-auth=false', '--logger=zap'],
      ...['--log-outputs=stderr', '--experimental-initial-corrupt-check=true', '--enable-v2=true'],
      ...['--strict-reconfig-check=true', '--max-snapshots=5', '--max-wals=5', '--proxy=off'],
      ...['--grpc-keepalive-min-time=5s', '--auto-compaction-retention=8', '--enable-pprof'],
      ...['--backend-batch-limit=10000', '--peer-auto-tls=false'],
    ],
  }),
  'a file of variables, some of them empty': (client, peer) => ({
    args: [],
    env: {
      ETCD_NAME: 'm1',
      ETCD_DATA_DIR: '',
      ETCD_WAL_DIR: '',
      ETCD_CORS: '',
      ETCD_DISCOVERY: '',
      ETCD_LISTEN_CLIENT_URLS: client,
      ETCD_ADVERTISE_CLIENT_URLS: client,
      ETCD_LISTEN_PEER_URLS: peer,
      ETCD_INITIAL_ADVERTISE_PEER_URLS: peer,
      ETCD_INITIAL_CLUSTER: `m1=${peer}`,
      ETCD_LOGGER: 'zap',
      ETCD_ENABLE_V2: 'true',
    },
  }),
  'a configuration file, which nothing adds to': (client, peer) => ({
    args: ['--config-file', 'etcd.yml', '--name', 'other'],
    env: { ETCD_INITIAL_CLUSTER_TOKEN: 'other' },
    file: [
      'name: m1',
      'data-dir: # the default',
      `listen-client-urls: "${client}"`,
      `advertise-client-urls: '${client}'`,
      `listen-peer-urls: ${peer}`,
      `initial-advertise-peer-urls: ${peer}`,
      `initial-cluster: m1=${peer}`,
      'strict-reconfig-check: false',
      'client-transport-security:\n  cert-file:\n  client-cert-auth: false',
      'peer-transport-security: {auto-tls: false}',
      'logger: zap\nlog-outputs: [stderr]',
    ].join('\n'),
  }),
}

describeWithEtcd('both take', () => {
  test.each(Object.entries(ways))('%s', async (_, way) => {
    const [clientPort, peerPort] = await freePorts(2)
    const start = way(`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`)
    const etcd = await memberStartedBy('etcd', start, `127.0.0.1:${clientPort}`)
    expect(await memberStartedBy('tsctl', start, `127.0.0.1:${clientPort}`)).toEqual(etcd)
  })
})

describeWithEtcd('both refuse, with the same code,', () => {
  test.each([
    ['--nope'],
    ['-nope=1'],
    ['--max-txn-ops=many'],
    ['--pre-vote=maybe'],
    ['--data-dir'],
    ['word'],
    ['--pre-vote', 'false'],
    ['--config-file=/no/etcd.yml'],
    ['--initial-cluster-state=old'],
    ['--heartbeat-interval=1000', '--election-timeout=1000'],
  ])('%s', async (...words) => {
    const etcd = spawn('etcd', words, { stdio: 'ignore', env: { PATH: process.env.PATH } })
    const [code] = await once(etcd, 'exit')
    expect((await runTsctl(['server', ...words])).code).toBe(code)
  })
})

describeWithEtcd('scripts find', () => {
  test.each(['etcd', 'tsctl'] as const)('in the log of %s that members stand', async (program) => {
    await using cluster = await startProcessCluster({ programs: [program, program] })
    const [member] = cluster.members
    await eventually('the line of the log', async () =>
      member?.log.find((line) =>
        line.includes('"msg":"established TCP streaming connection with remote peer"'),
      ),
    )
  })
})

test('--version has the lines of etcd', async () => {
  const { code, stdout } = await runTsctl(['server', '--version'])
  expect([code, ...stdout.split('\n').map((line) => line.replace(/:.*/, ''))]).toEqual([
    ...[0, 'etcd Version', 'Git SHA', 'Go Version', 'Go OS/Arch', ''],
  ])
})

test('a configuration file that is not there is named', async () => {
  const { code, stderr } = await runTsctl(['server', '--config-file=/no/etcd.yml'])
  expect([code, stderr]).toEqual([1, 'Error: open /no/etcd.yml: no such file or directory\n'])
})

test('systemd is told when clients are served', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'server-words-'))
  try {
    // In the place of systemd's tool, one that says in a file what it was asked for.
    const told = path.join(dir, 'told')
    const script = `#!/bin/sh\necho "$@" "$NOTIFY_SOCKET" > ${told}\n`
    await writeFile(path.join(dir, 'systemd-notify'), script, { mode: 0o755 })
    const env = { PATH: `${dir}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/notify' }
    const args = ['--data-dir=', '--listen-peer-urls=', '--listen-client-urls=http://127.0.0.1:0']
    const child = spawn(process.execPath, [tsctl, 'server', ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line)
      if (line.includes('notif')) child.kill()
    }
    expect(lines.at(-1)).toContain('successfully notified init daemon')
    expect(await readFile(told, 'utf8')).toBe('--ready /run/notify\n')
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test('a hang-up does not end a server without a terminal, as behind nohup', async () => {
  await using server = await startServerProcess(['--data-dir='])
  process.kill(server.pid, 'SIGHUP')
  const health = await fetch(`http://${server.endpoint}/health`)
  expect(await health.json()).toMatchObject({ health: 'true' })
  expect(await server.stop('SIGTERM')).toBe(0)
})

const isLinux = process.platform === 'linux'

async function nameOf({ pid }: ChildProcess): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8')).trim()
}

/** What the member says of itself, and where its data is. */
async function memberStartedBy(
  program: 'etcd' | 'tsctl',
  { args, env = {}, file }: Start,
  endpoint: string,
): Promise<{ member: string; directories: string[] }> {
  const dir = await mkdtemp(path.join(tmpdir(), 'server-words-'))
  let child: ChildProcess | undefined
  try {
    const link = path.join(dir, 'etcd')
    if (program === 'tsctl') await symlink(tsctl, link)
    if (file !== undefined) await writeFile(path.join(dir, 'etcd.yml'), file)
    const PATH = process.env.PATH ?? ''
    const options = { cwd: dir, env: { ...env, PATH }, stdio: 'ignore' } as const
    child = spawn(program === 'tsctl' ? link : 'etcd', args, options)
    const client = { env: { PATH, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoint } }
    // The answer comes as soon as the member is there.
    const words = ['member', 'list', '--command-timeout=60s']
    const { stdout } = await promisify(execFile)('etcdctl', words, client)
    const entries = await readdir(dir)
    if (isLinux) expect(await nameOf(child), 'name in the list of processes').toBe('etcd')
    const directories = entries.filter((name) => name !== 'etcd' && name !== 'etcd.yml')
    return { member: stdout, directories }
  } finally {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    await rm(dir, { recursive: true, force: true })
  }
}
