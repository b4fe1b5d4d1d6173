// peer-tls.test.ts: two members that meet over TLS, each with the certificate of an authority that
// the other trusts, and one that has none.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PutRequest, RangeRequest, RangeResponse } from '../../src/api/gen/rpc.js'
import { type ServerConfig, serverConfig } from '../../src/server/config.js'
import { systemPlatform } from '../../src/server/platform.js'
import { type Server, startServer } from '../../src/server/server.js'
import { openPlainChannel } from '../support/open-plain-channel.js'
import { freePorts } from '../support/real-etcd.js'

const tls = path.join(import.meta.dirname, '../../fixtures/tls')
const identity = {
  peerCertFile: path.join(tls, 'server.crt'),
  peerKeyFile: path.join(tls, 'server.key'),
  peerTrustedCaFile: path.join(tls, 'ca.crt'),
}

let dir: string
const running: Server[] = []

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'peer-tls-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()))
  await rm(dir, { recursive: true, force: true })
})

async function start(given: Partial<ServerConfig>): Promise<Server> {
  const config = serverConfig({ listenClientUrls: ['http://127.0.0.1:0'], ...given })
  const server = await startServer(
    config,
    systemPlatform('error', () => {}),
  )
  running.push(server)
  return server
}

test('members with certificates form a cluster, and each reads what went through the other', async () => {
  const [one = 0, two = 0] = await freePorts(2)
  const urls = [one, two].map((port) => `https://127.0.0.1:${port}`)
  const initialCluster = urls.map((url, at) => `m${at}=${url}`).join(',')
  const servers = await Promise.all(
    urls.map((url, at) =>
      start({
        ...identity,
        name: `m${at}`,
        dataDir: path.join(dir, `m${at}`),
        initialCluster,
        listenPeerUrls: [url],
        initialAdvertisePeerUrls: [url],
      }),
    ),
  )
  const [first, second] = servers.map(channelTo)
  const put = PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.from('v') })
  await first?.unary('/etcdserverpb.KV/Put', PutRequest.encode(put).finish())
  const range = RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from('k') })).finish()
  const answer = await second?.unary('/etcdserverpb.KV/Range', range)
  const { kvs } = RangeResponse.decode(answer ?? Buffer.alloc(0))
  expect(kvs.map(({ value }) => value.toString())).toEqual(['v'])
  await Promise.all([first?.close(), second?.close()])
})

test('an https peer URL without a certificate is refused at the start', async () => {
  const url = 'https://127.0.0.1:2380'
  const peer = { listenPeerUrls: [url], initialAdvertisePeerUrls: [url] }
  await expect(start({ ...peer, dataDir: path.join(dir, 'm') })).rejects.toThrow(
    '--listen-peer-urls: TLS needs --peer-cert-file and --peer-key-file: https://127.0.0.1:2380',
  )
})

function channelTo({ endpoints }: Server) {
  const { port } = new URL(endpoints[0] ?? '')
  return openPlainChannel(Number(port))
}
