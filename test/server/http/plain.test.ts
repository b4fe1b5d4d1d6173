// What health checks, Prometheus and people with curl get over plain HTTP on the client port.
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PutRequest, WatchRequest } from '../../../src/api/gen/rpc.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'

let server: Embedded
beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory' })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

function ask(path: string, method = 'GET', body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = `http://${server.endpoint}${path}`
    const request = http.request(url, { method }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, body: Buffer.concat(pieces).toString() })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const alarm = (action: string) =>
  ask(
    '/v3/maintenance/alarm',
    'POST',
    JSON.stringify({ action, memberID: String(server.server.memberId), alarm: 'NOSPACE' }),
  )

describe('health', () => {
  test.each([
    ['/health', 200, '{"health":"true","reason":""}'],
    ['/health?serializable=true', 200, '{"health":"true","reason":""}'],
    ['/livez', 200, 'ok\n'],
    ['/readyz', 200, 'ok\n'],
    ['/livez/serializable_read', 200, 'ok\n'],
    ['/livez/linearizable_read', 404, '404 page not found\n'],
    ['/livez?verbose', 200, '[+]serializable_read ok\nok\n'],
    ['/readyz/non_learner?verbose', 200, '[+]non_learner ok\nok\n'],
    ['/readyz?verbose&exclude=linearizable_read&exclude=unknown', 200, undefined],
  ])('%s', async (path, status, body) => {
    const answer = await ask(path)
    expect(answer.status).toBe(status)
    if (body !== undefined) expect(answer.body).toBe(body)
    else {
      expect(answer.body).toMatch(/\nok\n$/)
      expect(answer.body).not.toContain('linearizable_read')
    }
  })

  test('an alarm makes the member unhealthy, unless it is excluded', async () => {
    await alarm('ACTIVATE')
    const sick = await ask('/health')
    const excluded = await ask('/health?exclude=NOSPACE')
    await alarm('DEACTIVATE')
    expect(sick).toMatchObject({
      status: 503,
      body: '{"health":"false","reason":"ALARM NOSPACE"}\n',
    })
    expect(excluded.status).toBe(200)
    expect((await ask('/health')).status).toBe(200)
  })

  test('corruption makes the member not ready, and says which check failed', async () => {
    const corrupt = JSON.stringify({ action: 1, memberID: '7', alarm: 2 })
    await ask('/v3/maintenance/alarm', 'POST', corrupt)
    const { status, body } = await ask('/readyz')
    await ask('/v3/maintenance/alarm', 'POST', corrupt.replace('1', '2'))
    expect(status).toBe(503)
    expect(body).toContain('[-]data_corruption failed: alarm activated: CORRUPT\n')
    expect(body).not.toMatch(/^ok$/m)
    expect((await ask('/livez')).status).toBe(200)
  })
})

describe('other paths', () => {
  test.each([
    ['POST', '/health', 405, 'Method Not Allowed\n'],
    ['PUT', '/version', 405, 'Method Not Allowed\n'],
    ['OPTIONS', '/health', 200, ''],
    ['OPTIONS', '/v3/kv/range', 200, ''],
    ['GET', '/v2/keys', 404, '404 page not found\n'],
    ['GET', '/constructor', 404, '404 page not found\n'],
  ])('%s %s is answered with %d', async (method, path, status, body) => {
    const answer = await ask(path, method)
    expect(answer).toMatchObject({ status, body })
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    if (status === 405) expect(answer.headers.allow).toBe('GET')
  })

  test('the version has the three that a cluster knows', async () => {
    const { body } = await ask('/version')
    expect(JSON.parse(body)).toEqual({
      etcdserver: '3.7.1',
      etcdcluster: '3.7.0',
      storage: '3.7.0',
    })
  })

  test('the debug variables show where raft stands', async () => {
    const { body } = await ask('/debug/vars')
    const vars = JSON.parse(body)
    expect(vars['raft.status']).toMatchObject({
      id: '8e9e05c52164694d',
      lead: '8e9e05c52164694d',
      raftState: 'StateLeader',
    })
    expect(vars.file_descriptor_limit).toBeGreaterThan(0)
  })
})

test('a target that is no path does no harm', async () => {
  for (const target of ['//', 'http://[', '/%']) {
    const socket = net.connect(Number(server.endpoint.split(':')[1]), '127.0.0.1')
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toMatch(/^HTTP\/1.1 (400|404) /)
    socket.destroy()
  }
  expect((await ask('/health')).status).toBe(200)
})

describe('metrics', () => {
  /** What the dashboards and alerts of etcd ask a single member for. */
  const names = [
    'etcd_server_has_leader',
    'etcd_server_is_leader',
    'etcd_server_is_learner',
    'etcd_server_leader_changes_seen_total',
    'etcd_server_proposals_committed_total',
    'etcd_server_proposals_applied_total',
    'etcd_server_proposals_pending',
    'etcd_server_proposals_failed_total',
    'etcd_server_quota_backend_bytes',
    'etcd_server_id',
    'etcd_server_version',
    'etcd_cluster_version',
    'etcd_server_client_requests_total',
    'etcd_disk_wal_fsync_duration_seconds_bucket',
    'etcd_mvcc_db_total_size_in_bytes',
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'etcd_mvcc_put_total',
    'etcd_mvcc_delete_total',
    'etcd_mvcc_txn_total',
    'etcd_mvcc_range_total',
    'etcd_network_client_grpc_received_bytes_total',
    'etcd_network_client_grpc_sent_bytes_total',
    'etcd_debugging_mvcc_keys_total',
    'etcd_debugging_mvcc_watcher_total',
    'etcd_debugging_mvcc_slow_watcher_total',
    'etcd_debugging_mvcc_current_revision',
    'etcd_debugging_mvcc_compact_revision',
    'etcd_debugging_lease_granted_total',
    'grpc_server_started_total',
    'grpc_server_handled_total',
    'grpc_server_msg_received_total',
    'grpc_server_msg_sent_total',
    'etcd_server_health_success',
    'etcd_server_health_failures',
    'etcd_debugging_auth_revision',
    'etcd_debugging_lease_revoked_total',
    'etcd_debugging_lease_renewed_total',
    'etcd_debugging_mvcc_watch_stream_total',
    'etcd_debugging_mvcc_total_put_size_in_bytes',
    'etcd_mvcc_hash_duration_seconds_count',
    'etcd_mvcc_hash_rev_duration_seconds_count',
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'process_start_time_seconds',
  ]

  const samples = async (): Promise<Map<string, number>> => {
    const { body } = await ask('/metrics')
    const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(' ')
        return [line.slice(0, space), Number(line.slice(space + 1))]
      }),
    )
  }

  test('has every name that a dashboard asks for', async () => {
    const found = new Set([...(await samples()).keys()].map((key) => key.replace(/\{.*/, '')))
    await ask('/v3/kv/range', 'POST', '{"key":"YQ=="}')
    expect(names.filter((name) => !found.has(name) && !/client_requests/.test(name))).toEqual([])
  })

  test('counts calls, their ends and the changes they make', async () => {
    const before = await samples()
    await ask('/v3/kv/put', 'POST', '{"key":"YQ==","value":"MQ=="}')
    await ask('/v3/kv/put', 'POST', '{}')
    await ask('/v3/kv/deleterange', 'POST', '{"key":"YQ=="}')
    const after = await samples()
    const change = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    const put = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'
    expect(change('etcd_mvcc_put_total')).toBe(1)
    expect(change('etcd_mvcc_delete_total')).toBe(1)
    expect(change(`grpc_server_started_total{${put}}`)).toBe(2)
    expect(change(`grpc_server_handled_total{grpc_code="OK",${put}}`)).toBe(1)
    expect(change(`grpc_server_handled_total{grpc_code="InvalidArgument",${put}}`)).toBe(1)
    expect(change('etcd_debugging_mvcc_current_revision')).toBe(2)
    expect(change('etcd_server_proposals_applied_total')).toBe(2)
  })

  test('counts the answers of a watch one by one, and their bytes', async () => {
    const channel = openPlainChannel(server.port)
    const stream = channel.stream('/etcdserverpb.Watch/Watch')
    const answers = stream[Symbol.asyncIterator]()
    const key = Buffer.from('counted')
    const before = await samples()
    const create = WatchRequest.fromPartial({ create_request: { key } })
    for (let watcher = 0; watcher < 3; watcher++) {
      await stream.write(WatchRequest.encode(create).finish())
    }
    let bytes = 0
    for (let answer = 0; answer < 3; answer++) bytes += (await answers.next()).value?.length ?? 0
    const put = PutRequest.encode(PutRequest.fromPartial({ key })).finish()
    bytes += (await channel.unary('/etcdserverpb.KV/Put', put)).length
    for (let answer = 0; answer < 3; answer++) bytes += (await answers.next()).value?.length ?? 0
    const after = await samples()
    await channel.close()
    const change = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    const watch = 'grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"'
    expect(change(`grpc_server_msg_sent_total{${watch}}`)).toBe(6)
    expect(change('etcd_network_client_grpc_sent_bytes_total')).toBe(bytes)
  })

  test('is written as Prometheus reads it: help, type, samples, each family once', async () => {
    const { body, headers } = await ask('/metrics')
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    const types = [...body.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map((m) => m[1])
    expect(new Set(types).size).toBe(types.length)
    for (const line of body.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [-+.\de]+)$/)
    }
  })
})
