// The families of /metrics next to those of a real etcd: a cluster of one etcd 3.4 and one of ours,
// both kept busy with the same calls. Names, types, names of labels and steps of histograms must be
// equal, but for what the tables below except; every value is what happened.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { memberHex } from '../../../src/storage/schema.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import {
  describeWithEtcd,
  freePorts,
  type RealEtcd,
  startRealEtcd,
} from '../../support/real-etcd.js'

/** Families of etcd 3.4 that are not here, and why: each also stands in docs/compatibility.md. */
const absent: readonly (readonly [families: RegExp, why: string])[] = [
  [/^go_|^etcd_server_go_version$|^promhttp_/, 'about the runtime and libraries of Go'],
  [/^etcd_grpc_proxy_/, 'about another program, which etcd links in'],
  [/^etcd_debugging_store_/, 'about the store of the v2 API'],
  [
    /^etcd_debugging_mvcc_(db_total_size_in_bytes|(put|delete|range|txn)_total)$/,
    'second names of others, which left etcd with 3.5',
  ],
  [/^etcd_debugging_disk_backend_commit_|_db_open_read_transactions$/, 'about bbolt at work'],
  [/^etcd_disk_(backend_defrag_duration_seconds|defrag_inflight)$/, 'nothing is moved'],
  [/_index_compaction_pause_duration_milliseconds$/, 'the index goes with the records'],
  [/^etcd_snap_(db_)?fsync_|_snap_save_marshalling_/, 'a part of what is timed as a whole'],
]

/** Families here that etcd 3.4 does not show: later ones, and some that it shows in time. */
const further: readonly (readonly [families: RegExp, why: string])[] = [
  [/^etcd_server_(healthcheck|healthchecks_total|client_requests_total)$/, 'since 3.5'],
  [/^etcd_debugging_mvcc_(current|compact)_revision$/, 'since 3.4, in other units'],
  [/^etcd_debugging_(mvcc_total_put_size_in_bytes|auth_revision|server_alarms)$/, 'since 3.5'],
  [/^etcd_debugging_mvcc_db_compaction_last$/, 'since 3.5'],
  [/^etcd_server_apply_duration_seconds$/, 'since 3.5'],
  [/^etcd_network_peer_round_trip_time_seconds$/, 'of etcd after half a minute'],
  [/^etcd_network_disconnected_peers_total$/, 'of etcd when a peer is lost'],
  [/^etcd_network_peer_(sent|received)_failures_total$/, 'of etcd when something fails'],
  [/^etcd_network_known_peers$/, 'of etcd when a member is added'],
]

/** Of the calls that keepBusy() makes, and of the applies that they lead to on both members. */
const equalValues = [
  'etcd_mvcc_put_total',
  'etcd_mvcc_delete_total',
  'etcd_debugging_lease_granted_total',
  'etcd_debugging_lease_revoked_total',
  'etcd_debugging_lease_ttl_total_sum',
  'etcd_debugging_lease_ttl_total_bucket{le="128"}',
  'etcd_debugging_mvcc_db_compaction_keys_total',
  'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count',
  'etcd_disk_backend_snapshot_duration_seconds_count',
  'etcd_mvcc_hash_rev_duration_seconds_count',
  'etcd_server_has_leader',
] as const

interface Family {
  type: string
  labels: string
  steps: string
}

/** By name. Labels: the names of all that its samples have; steps: the bounds of a histogram. */
function families(text: string): Map<string, Family> {
  const found = new Map<string, { type: string; labels: Set<string>; steps: Set<string> }>()
  for (const line of text.split('\n')) {
    const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (name !== '') found.set(name, { type, labels: new Set(), steps: new Set() })
    const [, sample = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? []
    const family = found.get(sample) ?? found.get(sample.replace(/_(bucket|sum|count)$/, ''))
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
      family?.labels.add(label)
      if (label === 'le') family?.steps.add(value)
    }
  }
  const list = (set: Set<string>) => [...set].sort().join(' ')
  return new Map(
    [...found].map(([name, { type, labels, steps }]) => {
      return [name, { type, labels: list(labels), steps: list(steps) }]
    }),
  )
}

const isIn = (table: typeof absent, name: string): boolean =>
  table.some(([pattern]) => pattern.test(name))

const scrape = async (endpoint: string): Promise<string> =>
  (await fetch(`http://${endpoint}/metrics`)).text()

describeWithEtcd('metrics next to those of etcd', () => {
  let etcd: RealEtcd
  let ours: Embedded
  let theirText: string
  let ourText: string

  beforeAll(async () => {
    const [own = 0, theirs = 0] = await freePorts(2)
    const ownUrl = `http://127.0.0.1:${own}`
    const theirUrl = `http://127.0.0.1:${theirs}`
    const initialCluster = `ours=${ownUrl},theirs=${theirUrl}`
    const flags = [
      '--name=theirs',
      `--listen-peer-urls=${theirUrl}`,
      `--initial-advertise-peer-urls=${theirUrl}`,
      `--initial-cluster=${initialCluster}`,
      '--metrics=extensive',
    ]
    const config = {
      name: 'ours',
      listenPeerUrls: [ownUrl],
      initialAdvertisePeerUrls: [ownUrl],
      initialCluster,
      maxClusterVersion: '3.4.0',
      metrics: 'extensive',
    } as const
    ;[etcd, ours] = await Promise.all([startRealEtcd({ flags }), startEmbedded({ config })])
    for (const { endpoint } of [etcd, ours]) await keepBusy(endpoint)
    theirText = await scrape(etcd.endpoint)
    ourText = await scrape(ours.endpoint)
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await ours?.[Symbol.asyncDispose]()
  })

  test('each family of etcd is here, or excepted', () => {
    const here = families(ourText)
    const missing = [...families(theirText).keys()].filter((name) => !here.has(name))
    expect(missing.filter((name) => !isIn(absent, name))).toEqual([])
  })

  test('what is excepted is not here', () => {
    expect([...families(ourText).keys()].filter((name) => isIn(absent, name))).toEqual([])
  })

  test('each family here is in etcd, or later than 3.4', () => {
    const there = families(theirText)
    const more = [...families(ourText).keys()].filter((name) => !there.has(name))
    expect(more.filter((name) => !isIn(further, name))).toEqual([])
  })

  test('types, labels and steps are the same', () => {
    const there = families(theirText)
    const both = [...families(ourText)].filter(([name]) => there.has(name))
    expect(both.length).toBeGreaterThan(60)
    expect(Object.fromEntries(both)).toEqual(
      Object.fromEntries(both.map(([name]) => [name, there.get(name)])),
    )
  })

  test.each(equalValues)('both count the same: %s', (sample) => {
    expect([sample, figureIn(ourText, sample)]).toEqual([sample, figureIn(theirText, sample)])
    expect(figureIn(ourText, sample)).toBeGreaterThan(0)
  })

  test('what passes between the members is counted at both ends', async () => {
    const own = memberHex(ours.server.memberId)
    const other = memberHex(BigInt(await idOf(etcd.endpoint)))
    // Neither end sees what is on its way; both have sent a hundred messages and more.
    for (const [text, peer] of [
      [ourText, other],
      [theirText, own],
    ] as const) {
      for (const [way, label] of [
        ['sent', 'To'],
        ['received', 'From'],
      ]) {
        const sample = `etcd_network_peer_${way}_bytes_total{${label}="${peer}"}`
        expect([sample, figureIn(text, sample) > 1000]).toEqual([sample, true])
      }
    }
    const active = `etcd_network_active_peers{Local="${own}",Remote="${other}"}`
    expect(figureIn(ourText, active)).toBe(1)
  })

  test('what is done here alone is counted as it happens', () => {
    expect(figureIn(ourText, 'etcd_disk_wal_write_bytes_total')).toBeGreaterThan(1000)
    const applies = (op: string) =>
      `etcd_server_apply_duration_seconds_count{version="v3",op="${op}",success="true"}`
    expect(figureIn(ourText, applies('Put'))).toBe(6)
    expect(figureIn(ourText, applies('LeaseGrant'))).toBe(2)
    const virtual = figureIn(ourText, 'process_virtual_memory_bytes')
    expect(virtual).toBeGreaterThan(figureIn(ourText, 'process_resident_memory_bytes'))
  })

  test('a watcher that was told of an event counts it', async () => {
    const sent = async () =>
      figureIn(await scrape(ours.endpoint), 'etcd_debugging_mvcc_events_total')
    const before = await sent()
    const post = (path: string, body: object) =>
      fetch(`http://${ours.endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
    const watch = await post('watch', { create_request: { key: b64('w') } })
    const reader = watch.body?.getReader()
    const line = async () => new TextDecoder().decode((await reader?.read())?.value)
    expect(await line()).toContain('"created":true')
    await post('kv/put', { key: b64('w') })
    expect(await line()).toContain('"events"')
    expect(await sent()).toBe(before + 1)
    await reader?.cancel()
  })
})

/** NaN when there is none. */
function figureIn(text: string, sample: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? Number.NaN)
}

const b64 = (text: string): string => Buffer.from(text).toString('base64')

/** The same calls to each, by the same client. */
async function keepBusy(endpoint: string): Promise<void> {
  const etcdctl = async (...words: string[]) => {
    const env = {
      PATH: process.env.PATH,
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: endpoint,
      ETCDCTL_COMMAND_TIMEOUT: '60s',
    }
    return (await promisify(execFile)('etcdctl', words, { env, timeout: 60_000 })).stdout
  }
  const json = async (...words: string[]) => JSON.parse(await etcdctl(...words, '-w', 'json'))
  await etcdctl('put', 'k', '1')
  await etcdctl('put', 'k', '2')
  await etcdctl('get', 'k')
  await etcdctl('del', 'k')
  // What a compaction leaves of a key that ends just there is not the same in all versions.
  const { header } = await json('put', 'k', '3')
  const [, lease = ''] = /^lease (\w+) granted/.exec(await etcdctl('lease', 'grant', '100')) ?? []
  await etcdctl('lease', 'revoke', lease)
  await etcdctl('compaction', '--physical', String(header.revision))
  await etcdctl('endpoint', 'status')
  await etcdctl('endpoint', 'hashkv')
  await etcdctl('defrag')
  const file = path.join(tmpdir(), `metrics-${process.pid}-${endpoint.replace(':', '-')}.db`)
  await etcdctl('snapshot', 'save', file)
  await rm(file, { force: true })
}

async function idOf(endpoint: string): Promise<string> {
  const url = `http://${endpoint}/v3/maintenance/status`
  const response = await fetch(url, { method: 'POST', body: '{}' })
  return /"member_id":"(\d+)"/.exec(await response.text())?.[1] ?? ''
}
