// tls.test.ts: members that prove themselves to each other with certificates, ours and a real one.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { getMembers } from '../../../src/server/peer/client.js'
import { describeWithEtcd, freePorts, startRealEtcd } from '../../support/real-etcd.js'
import { connect, raftMessage, startEnd, until } from './ends.js'

const fixtures = path.join(import.meta.dirname, '../../../fixtures/tls')
const pem = (name: string): string => readFileSync(path.join(fixtures, name), 'latin1')
const ca = pem('ca.crt')
/** One certificate for both ends, as members have it. */
const pair = { cert: pem('server.crt'), key: pem('server.key') }
const tls = { ca, ...pair }
const listenTls = { ca, ...pair, requireClientCert: true }

const a = 1n
const b = 2n
const secure = (id: bigint, port = 0) => ({
  id,
  scheme: 'https' as const,
  listen: { host: '127.0.0.1', port, tls: listenTls },
  parts: { tls },
})

describe('members with certificates', () => {
  test('talk to each other', async () => {
    await using left = await startEnd(secure(a))
    await using right = await startEnd(secure(b))
    await connect(left, right, { a, b })
    left.transport.send([raftMessage({ from: a, to: b, index: 7 })])
    await right.message(({ index }) => index === 7)
    const { members } = await getMembers([right.url], { timeoutMs: 60_000, tls })
    expect(members).toEqual([])
  })

  test.each([
    ['without a certificate', { ca }],
    ['that trust nobody who signed', pair],
  ])('do not talk to those %s', async (_, others) => {
    await using left = await startEnd({ ...secure(a), parts: { tls: others } })
    await using right = await startEnd(secure(b))
    left.transport.addPeer(b, [right.url])
    left.transport.send([raftMessage({ from: a, to: b })])
    await until(() => left.unreachable.includes(b))
    expect(right.received).toEqual([])
    await expect(getMembers([right.url], { timeoutMs: 60_000, tls: others })).rejects.toThrow()
  })

  test.each([
    [{ commonName: 'localhost' }, true],
    [{ commonName: 'root' }, false],
    [{ hostname: 'localhost' }, true],
    [{ hostname: 'example.org' }, false],
  ])('may be those with a certain name only: %j', async (allowedClient, isAllowed) => {
    await using end = await startEnd({ ...secure(a), parts: { tls, allowedClient } })
    const asked = getMembers([end.url], { timeoutMs: 60_000, tls })
    if (isAllowed) expect((await asked).members).toEqual([])
    else await expect(asked).rejects.toThrow()
  })

  test('do not take plain text', async () => {
    await using end = await startEnd(secure(a))
    const plain = end.url.replace('https', 'http')
    await expect(getMembers([plain], { timeoutMs: 60_000 })).rejects.toThrow()
  })
})

describeWithEtcd('a real member with certificates', () => {
  test('talks both ways', async () => {
    const [realPort = 0, ownPort = 0] = await freePorts(2)
    const realUrl = `https://127.0.0.1:${realPort}`
    await using etcd = await startRealEtcd({
      flags: [
        `--listen-peer-urls=${realUrl}`,
        `--initial-advertise-peer-urls=${realUrl}`,
        `--initial-cluster=default=${realUrl}`,
        `--peer-cert-file=${path.join(fixtures, 'server.crt')}`,
        `--peer-key-file=${path.join(fixtures, 'server.key')}`,
        `--peer-trusted-ca-file=${path.join(fixtures, 'ca.crt')}`,
        '--peer-client-cert-auth',
      ],
    })
    const ownUrl = `https://127.0.0.1:${ownPort}`
    await etcd.etcdctl(['member', 'add', 't', '--learner', `--peer-urls=${ownUrl}`])
    const { clusterId, members } = await getMembers([realUrl], { timeoutMs: 60_000, tls })
    const own = members.find(({ isLearner }) => isLearner)?.id ?? 0n
    const leader = members.find(({ isLearner }) => !isLearner)?.id ?? 0n
    const options = secure(own, ownPort)
    await using end = await startEnd({ ...options, parts: { clusterId, tls } })
    end.transport.addPeer(leader, [realUrl])
    await until(() => end.transport.activeSince(leader) !== undefined)
    await end.message(({ from }) => from === leader)
  })
})
