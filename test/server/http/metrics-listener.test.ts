// --listen-metrics-urls: what is served there, and that nothing else is, next to a real etcd.
import { once } from 'node:events'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import {
  describeWithEtcd,
  freePorts,
  type RealEtcd,
  startRealEtcd,
} from '../../support/real-etcd.js'
import { answerTo } from './raw-answer.js'

/** The ports are free ones; the log tells which. */
function metricsPort({ log }: Embedded): number {
  const lines = log.map((line) => JSON.parse(line))
  return lines.find(({ flag }) => flag === '--listen-metrics-urls').port
}

const requests = [
  'GET /metrics',
  'HEAD /metrics',
  'POST /metrics',
  'GET /health',
  'GET /health?exclude=NOSPACE',
  'HEAD /health',
  'OPTIONS /health',
  'GET /version',
  'GET /debug/vars',
  'OPTIONS /version',
  'POST /v3/kv/range',
  'GET /',
]

describeWithEtcd('a port for metrics answers as that of etcd', () => {
  let etcd: RealEtcd
  let etcdMetrics: string
  let ours: Embedded
  beforeAll(async () => {
    const [port] = await freePorts(1)
    etcdMetrics = `127.0.0.1:${port}`
    // A list of names for clients does not bind Prometheus.
    const flags = [`--listen-metrics-urls=http://${etcdMetrics}`, '--host-whitelist=other']
    etcd = await startRealEtcd({ flags })
    const config = { listenMetricsUrls: ['http://127.0.0.1:0'], hostWhitelist: ['other'] }
    ours = await startEmbedded({ storage: 'memory', config })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    await ours?.[Symbol.asyncDispose]()
  })

  test.each(requests)('%s', async (what) => {
    const bytes = `${what} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    const theirs = await answerTo(etcdMetrics, bytes)
    const answer = await answerTo(`127.0.0.1:${metricsPort(ours)}`, bytes)
    expect({ ...answer, body: '' }).toEqual({ ...theirs, body: '' })
    // From 3.5 on a reason stands beside the health, and metrics have figures of their own.
    if (!/metrics|health/.test(what)) expect(answer.body).toBe(theirs.body)
  })

  test('health checks of later versions are there, too', async () => {
    const bytes = 'GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const answer = await answerTo(`127.0.0.1:${metricsPort(ours)}`, bytes)
    expect(answer).toMatchObject({ status: '200 OK', body: 'ok\n' })
  })
})

const fixture = (name: string): string =>
  path.join(import.meta.dirname, '../../../fixtures/tls', name)

describe('a port for metrics', () => {
  test('is served over TLS with the certificate of the client port', async () => {
    await using server = await startEmbedded({
      storage: 'memory',
      config: {
        listenMetricsUrls: ['https://127.0.0.1:0'],
        certFile: fixture('server.crt'),
        keyFile: fixture('server.key'),
      },
    })
    const url = `https://127.0.0.1:${metricsPort(server)}/metrics`
    const request = https.get(url, { rejectUnauthorized: false })
    const [response] = await once(request, 'response')
    expect(response.statusCode).toBe(200)
    let body = ''
    for await (const piece of response) body += piece
    expect(body).toContain('etcd_server_has_leader 1\n')
  })

  test('needs a certificate for that', async () => {
    const config = { listenMetricsUrls: ['https://127.0.0.1:1'] }
    await expect(startEmbedded({ storage: 'memory', config })).rejects.toThrow(
      /^--listen-metrics-urls: TLS needs --cert-file and --key-file, or --auto-tls: https:\/\/127\.0\.0\.1:1$/,
    )
  })

  test('that is taken ends the start with one line', async () => {
    const other = net.createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as net.AddressInfo
    const config = { listenMetricsUrls: [`http://127.0.0.1:${port}`] }
    await expect(startEmbedded({ storage: 'memory', config })).rejects.toThrow(
      `--listen-metrics-urls: listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
    )
    other.close()
  })
})
