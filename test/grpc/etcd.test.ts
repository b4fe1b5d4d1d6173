// Our client against a real etcd, with requests written by hand: grpc-go is the peer that counts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deadPort, failure, open } from './ends.js'

const missing = spawnSync('etcd', ['--version']).error !== undefined
const title = missing ? 'a real etcd (skipped: there is no etcd on this machine)' : 'a real etcd'

const range = '/etcdserverpb.KV/Range'
const put = '/etcdserverpb.KV/Put'
const watch = '/etcdserverpb.Watch/Watch'

/** A length-delimited field of a protobuf message. */
function field(number: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value)
  const length: number[] = []
  let rest = bytes.length
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes])
}

describe.skipIf(missing)(title, () => {
  let etcd: ChildProcess | undefined
  let dir = ''
  let address = { host: '127.0.0.1', port: 0 }

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'grpc-etcd-'))
    address = { host: '127.0.0.1', port: await deadPort() }
    const url = `http://127.0.0.1:${address.port}`
    const peer = `http://127.0.0.1:${await deadPort()}`
    const flags = ['--data-dir', dir, '--listen-client-urls', url, '--advertise-client-urls', url]
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer]
    const cluster = ['--initial-cluster', `default=${peer}`]
    etcd = spawn('etcd', [...flags, ...peers, ...cluster], { stdio: 'ignore' })
  })

  afterAll(async () => {
    if (etcd !== undefined && etcd.exitCode === null) {
      etcd.kill('SIGKILL')
      await once(etcd, 'exit')
    }
    await rm(dir, { recursive: true, force: true })
  })

  test('a call made before it listens waits for it', async () => {
    const channel = open(address)
    const answer = await channel.unary(range, field(1, 'nothing'), { idempotent: true })
    expect(answer.length).toBeGreaterThan(0)
  })

  test('what is put is read, at every size up to the limit of etcd', async () => {
    const channel = open(address)
    for (const size of [0, 1, 20_000, 1_500_000]) {
      const value = Buffer.alloc(size, 120)
      await channel.unary(put, Buffer.concat([field(1, 'k'), field(2, value)]))
      const answer = await channel.unary(range, field(1, 'k'), { deadlineMs: 60_000 })
      expect(answer.includes(value)).toBe(true)
    }
  })

  test('its errors arrive with code and text', async () => {
    const channel = open(address)
    expect(await failure(channel.unary(put, Buffer.alloc(0)))).toMatchObject({
      code: 3,
      details: 'etcdserver: key is not provided',
    })
    const large = Buffer.concat([field(1, 'k'), field(2, Buffer.alloc(3_000_000))])
    const error = await failure(channel.unary(put, large))
    expect(error.code).toBe(8)
    expect(error.details).toMatch(/received message larger than max \(\d+ vs\. \d+\)/)
    expect(await failure(channel.unary('/etcdserverpb.KV/Nope', Buffer.alloc(0)))).toMatchObject({
      code: 12,
      details: 'unknown method Nope for service etcdserverpb.KV',
    })
    expect(await failure(channel.unary('/a.B/C', Buffer.alloc(0)))).toMatchObject({
      code: 12,
      details: 'unknown service a.B',
    })
  })

  test('a watch sees what is put, and its cancel leaves the connection alone', async () => {
    const channel = open(address)
    const stream = channel.stream(watch)
    const answers = stream[Symbol.asyncIterator]()
    await stream.write(field(1, field(1, 'w')))
    await answers.next() // created
    for (let i = 0; i < 20; i++) {
      await channel.unary(put, Buffer.concat([field(1, 'w'), field(2, `value ${i}`)]))
      const { value } = await answers.next()
      expect(value.includes(`value ${i}`)).toBe(true)
    }
    stream.cancel()
    await expect(answers.next()).rejects.toMatchObject({ code: 1 })
    expect((await channel.unary(range, field(1, 'w'))).includes('value 19')).toBe(true)
  })

  test('an answer of many megabytes comes whole', async () => {
    const channel = open(address)
    for (let i = 0; i < 20; i++) {
      const value = Buffer.alloc(1_000_000, i)
      await channel.unary(put, Buffer.concat([field(1, `big/${i}`), field(2, value)]))
    }
    const all = Buffer.concat([field(1, 'big/'), field(2, 'big0')])
    const answer = await channel.unary(range, all)
    expect(answer.length).toBeGreaterThan(20_000_000)
    const limited = open(address, { receiveMaxBytes: 4 * 1024 * 1024 })
    const error = await failure(limited.unary(range, all))
    expect(error.details).toBe(
      `grpc: received message larger than max (${answer.length} vs. 4194304)`,
    )
  })

  test('a thousand calls at once', async () => {
    const channel = open(address)
    const calls = Array.from({ length: 1000 }, () => channel.unary(range, field(1, 'nothing')))
    expect((await Promise.all(calls)).length).toBe(1000)
  })
})
