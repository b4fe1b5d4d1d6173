// Signed tokens between the bundled server and a real etcd that have the same key and the same
// users: each takes the other's, and each finds them too old after a change.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { TokenClient } from './token-client.js'

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const methods: [string, KeyObject][] = [
  ['RS256', rsa],
  ['PS384', rsa],
  ['ES256', ec('P-256')],
  ['ES512', ec('P-521')],
]

describeWithEtcd('signed tokens', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'jwt-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test.each(methods)('of %s are good on both sides', async (signMethod, key) => {
    const privateKeyFile = path.join(dir, `${signMethod}.key`)
    const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1'
    await writeFile(privateKeyFile, key.export({ type, format: 'pem' } as never))
    const publicKeyFile = path.join(dir, `${signMethod}.pub`)
    await writeFile(publicKeyFile, createPublicKey(key).export({ type: 'spki', format: 'pem' }))
    const flag = `jwt,sign-method=${signMethod},priv-key=${privateKeyFile},pub-key=${publicKeyFile}`
    const flags = [`--auth-token=${flag},ttl=5m`, '--bcrypt-cost=4']
    await using etcd = await startRealEtcd({ flags })
    const kind = 'jwt'
    const authToken = { kind, signMethod, ttlMs: 300_000, privateKeyFile, publicKeyFile } as const
    const config = { bcryptCost: 4, authToken }
    await using embedded = await startEmbedded({ storage: 'memory', config })
    await using ours = new TokenClient(embedded.port)
    await using theirs = new TokenClient(etcd.port)
    for (const client of [ours, theirs]) {
      await client.call('UserAdd', { name: 'root', password: 'p' })
      await client.call('UserGrantRole', { user: 'root', role: 'root' })
      await client.call('AuthEnable', {})
    }
    const tokens = [await ours.logIn('root', 'p'), await theirs.logIn('root', 'p')]
    const put = (client: TokenClient) =>
      Promise.all(tokens.map((token) => client.outcome('Put', { key: Buffer.from('k') }, token)))
    expect(await put(ours)).toEqual(['ok', 'ok'])
    expect(await put(theirs)).toEqual(['ok', 'ok'])
    for (const client of [ours, theirs]) await client.call('RoleAdd', { name: 'r' }, tokens[0])
    const old = 'InvalidArgument: etcdserver: revision of auth store is old'
    expect(await put(ours)).toEqual([old, old])
    expect(await put(theirs)).toEqual([old, old])
  })
})
