// get --stream: the same output as without it, in every format, but printed as it comes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RangeStreamResponse } from '../../src/api/gen/rpc.js'
import { startFakeServer } from '../connection/fake-server.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { liveRun } from './live-run.js'
import { lastLine, type Run, run } from './run.js'

let server: Embedded
beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory', config: { maxRequestBytes: 20_000 } })
  const value = 'v'.repeat(100)
  for (let batch = 0; batch < 3; batch++) {
    const lines = Array.from({ length: 100 }, (_, i) => `put k${batch}${i} ${value}`)
    const text = `\n${lines.join('\n')}\n\n\n`
    expect((await get(['txn'], text)).code).toBe(0)
  }
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const get = (words: readonly string[], stdin?: string): Promise<Run> =>
  run([...words, `--endpoints=${server.endpoint}`], {
    connection: 'real',
    ...(stdin !== undefined && { stdin }),
  })

describe('prints what get prints', () => {
  const formats = ['simple', 'json', 'fields', 'protobuf'] as const
  const ranges = [
    ['k', '--prefix'],
    ['k', '--prefix', '--limit=7'],
    ['k', '--prefix', '--limit=300'],
    ['k', '--prefix', '--keys-only'],
    ['k1', '--from-key', '--rev=3'],
    ['k00'],
    ['none'],
    ['k', '--prefix', '--order=ASCEND', '--sort-by=KEY'],
    ['k', '--prefix', '--hex'],
  ]
  const cases = formats.flatMap((format) => ranges.map((range) => [format, range] as const))
  test.each(cases)('%s: %s', async (format, range) => {
    const whole = await get(['get', ...range, '-w', format])
    const pieces = await get(['get', ...range, '-w', format, '--stream'])
    expect(pieces.stdout.equals(whole.stdout)).toBe(true)
    expect(pieces).toMatchObject({ code: whole.code, stderr: whole.stderr })
  })

  test('values alone, and the count', async () => {
    for (const words of [['--print-value-only'], ['--count-only', '-w', 'fields']]) {
      const whole = await get(['get', 'k', '--prefix', ...words])
      const pieces = await get(['get', 'k', '--prefix', ...words, '--stream'])
      expect(whole.stdout.length).toBeGreaterThan(0)
      expect(pieces.stdout.equals(whole.stdout)).toBe(true)
    }
  })
})

describe('is refused', () => {
  test.each([
    [['--sort-by=VALUE'], 'RangeStream does not support custom sort orders'],
    [['--order=DESCEND'], 'RangeStream does not support custom sort orders'],
    [['--min-mod-rev=2'], 'RangeStream does not support revision filters'],
  ])('with %s', async (words, message) => {
    const answer = await get(['get', 'k', '--prefix', '--stream', ...words])
    expect(answer.code).toBe(1)
    expect(lastLine(answer)).toBe(`Error: rpc error: code = Unimplemented desc = ${message}`)
  })

  test.each([
    [['--count-only'], 128, 'Error: --count-only is only for `--write-out=fields`'],
    [
      ['--print-value-only', '-w', 'json'],
      128,
      'Error: print-value-only is only for `--write-out=simple`',
    ],
    [['--rev=999'], 1, 'Error: etcdserver: mvcc: required revision is a future revision'],
  ])('with %s', async (words, code, message) => {
    const answer = await get(['get', 'k', '--prefix', '--stream', ...words])
    expect([answer.code, lastLine(answer), answer.stdout.length]).toEqual([code, message, 0])
  })
})

describeWithEtcd('a server that is older than 3.7', () => {
  test('does not know it', async () => {
    await using etcd = await startRealEtcd()
    const words = ['get', 'k', '--stream', `--endpoints=${etcd.endpoint}`]
    const answer = await run(words, { connection: 'real' })
    expect(answer.code).toBe(1)
    expect(lastLine(answer)).toContain('code = Unimplemented')
  })
})

test('a piece is printed before the next one comes', async () => {
  let goOn = (): void => {}
  const asked = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const piece = (key: string) =>
    RangeStreamResponse.encode(
      RangeStreamResponse.fromPartial({
        range_response: { kvs: [{ key: Buffer.from(key), value: Buffer.from('v') }] },
      }),
    ).finish()
  await using fake = await startFakeServer({
    streams: {
      'KV/RangeStream': async (stream) => {
        await stream.write(piece('first'))
        await asked
        await stream.write(piece('second'))
      },
    },
  })
  const live = liveRun(['get', 'k', '--stream'], { ETCDCTL_ENDPOINTS: fake.endpoint })
  await live.shows(/first\nv\n/)
  expect(live.stdout()).not.toContain('second')
  goOn()
  expect(await live.code).toBe(0)
  expect(live.stdout()).toBe('first\nv\nsecond\nv\n')
})
