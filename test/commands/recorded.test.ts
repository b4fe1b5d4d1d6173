// Recorded command lines of a real etcdctl, typed again here in the order in which they were
// recorded, against a real etcd: the same output, the same error, the same exit code. What only
// carries state is run too. A command that tsctl does not have yet is left to etcdctl.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { argument } from '../../src/commands/context.js'
import { table } from '../../src/commands/table.js'
import { type Clock, systemClock } from '../../src/platform/clock.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'
import { run } from './run.js'

interface Setup {
  argv: string[]
  stdin?: string
  stdin_repeat?: { text: string; count: number }
  capture?: Record<string, string>
  may_fail?: boolean
}

interface Case {
  name: string
  format: string
  env: Record<string, string>
  setup: (string[] | Setup)[]
  argv: string[]
  argv_b64?: string[]
  stdin: string | null
  stdin_repeat?: { text: string; count: number }
  steps?: unknown
  state_only?: boolean
  stdout_b64?: string
  stderr_text?: string
  exit?: number
  volatile: string[]
}

/** Where tsctl is meant to differ from that recording, and why. */
const deviations: Readonly<Record<string, string>> = {
  'version/simple': 'prints 3.7.1',
  'version/json': 'prints 3.7.1',
  'version/bad-format': 'prints 3.7.1',
  'misc/bad-env-value': 'a variable that cannot be read is an error',
  'misc/alarm-unknown-sub': 'help has other words',
  'get/one/fields-hex': '3.7 prints the lease in hexadecimal',
  'get/min-mod-rev-unknown': '3.7 has that flag',
  'defrag/simple': '3.7 tells how long it took',
  'defrag/json-flag': '3.7 tells how long it took',
  'defrag/cluster': '3.7 tells how long it took',
  'alarm/list-none/fields': '3.4 crashes',
  'alarm/list-nospace/fields-hex': '3.4 crashes',
  'alarm/disarm/fields': '3.4 crashes',
  'bin/all/keys-hex': '3.4 cuts the words that txn finds in single quotes short',
  'bin/all/fields': '3.4 cuts the words that txn finds in single quotes short',
  'bin/del/prev-kv-fields': '3.4 cuts the words that txn finds in single quotes short',
  'alarm/list-none/table': 'tsctl has a table where etcdctl has none',
  'alarm/list-nospace/table': 'tsctl has a table where etcdctl has none',
  'alarm/disarm/simple': '3.4 ends the line with a space',
  'alarm/endpoint-health/simple': '3.4 does not look at alarms',
  'alarm/endpoint-health/fields': '3.4 does not look at alarms',
  'alarm/no-subcommand': 'help has other words',
}

/** The machine's clock, without the two seconds to think that del gives. */
const impatient: Clock = {
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs === 2000 ? 0 : delayMs, callback),
}

/** Files of the recording, and how their server was started. */
const files: readonly (readonly [file: string, flags: readonly string[]])[] = [
  ['put', []],
  ['get', []],
  ['del', []],
  ['binary', []],
  ['compaction', []],
  ['misc', []],
  ['alarm', ['--quota-backend-bytes=49152']],
]
const folder = new URL('../../fixtures/golden/etcdctl-3.4/', import.meta.url)

const casesOf = (file: string): Case[] =>
  JSON.parse(readFileSync(new URL(`${file}.json`, folder), 'utf8'))

/** The recorded ports: the server's, and one where nobody listens. */
const onPort = (text: string, { endpoint }: RealEtcd): string =>
  text.replaceAll('127.0.0.1:24200', endpoint).replaceAll('127.0.0.1:24299', '127.0.0.1:1')

const isOurs = (argv: readonly string[]): boolean => {
  const isForeign = ['txn', 'lock', 'elect', 'check', 'make-mirror'].includes(argv[0] ?? '')
  return !isForeign || table.some(({ name }) => name === argv[0])
}

function inputOf({ stdin, stdin_repeat }: Pick<Setup, 'stdin_repeat'> & { stdin?: string | null }) {
  return stdin_repeat === undefined ? (stdin ?? '') : stdin_repeat.text.repeat(stdin_repeat.count)
}

/** Puts aside what differs from server to server, as the recording says. */
function masked(output: Buffer, one: Case): string {
  // One character a byte, so that no byte is lost.
  let text = output.toString('latin1')
  for (const entry of one.volatile) {
    const [, json] = /^json:\$.*\.(\w+)$/.exec(entry) ?? []
    if (json !== undefined) text = text.replace(new RegExp(`"${json}":\\d+`, 'g'), `"${json}":0`)
    const [, pattern] = /^re:(?:\(\?m\))?(.*)$/s.exec(entry) ?? []
    if (pattern === undefined) continue
    text = text.replace(new RegExp(pattern, 'gm'), (whole, group) => {
      return typeof group === 'string' ? whole.replace(group, '#') : '#'
    })
  }
  return text
}

/** Lines that are part of the interface; 3.4 prints the error twice. */
const errorLine = (stderr: string): string | undefined =>
  /^Error: .*/m.exec(stderr)?.[0].replaceAll('"etcdctl"', '"tsctl"')

describeWithEtcd('recorded command lines', () => {
  describe.each(files)('of %s', (file, flags) => {
    let etcd: RealEtcd
    const captured = new Map<string, string>()
    const filled = (word: string): string =>
      onPort(word, etcd).replace(/\{\{(\w+)\}\}/g, (_, key) => captured.get(key) ?? '')

    async function prepare(setup: string[] | Setup): Promise<void> {
      const one: Setup = Array.isArray(setup) ? { argv: setup } : setup
      const answer = etcd.etcdctl(one.argv.map(filled), inputOf(one))
      const output = await (one.may_fail ? answer.catch(() => '') : answer)
      for (const [key, pattern] of Object.entries(one.capture ?? {})) {
        captured.set(key, new RegExp(pattern).exec(output)?.[1] ?? '')
      }
    }

    beforeAll(async () => {
      etcd = await startRealEtcd({ flags })
    })
    afterAll(() => etcd[Symbol.asyncDispose]())

    test.each(casesOf(file).map((one) => [one.name, one] as const))('%s', async (name, one) => {
      for (const setup of one.setup) await prepare(setup)
      if (!isOurs(one.argv)) {
        const { argv, stdin } = one
        // Some were recorded because they fail.
        await prepare({ argv, ...(stdin !== null && { stdin }), may_fail: true })
        return
      }
      if (one.steps !== undefined) return
      const words = one.argv_b64?.map((word) => argument(Buffer.from(word, 'base64'))) ?? one.argv
      const got = await run(words.map(filled), {
        connection: 'real',
        clock: impatient,
        stdin: inputOf(one),
        env: Object.fromEntries(
          Object.entries(one.env).map(([key, value]) => [key, onPort(value, etcd)]),
        ),
      })
      if (one.state_only || deviations[name] !== undefined) return
      expect({ code: got.code, error: errorLine(got.stderr) }).toEqual({
        code: one.exit,
        error: errorLine(one.stderr_text ?? ''),
      })
      // A message of bytes has its ids inside; the tests of the formats compare those.
      if (one.format === 'protobuf') return
      const expected = Buffer.from(one.stdout_b64 ?? '', 'base64')
      expect(masked(got.stdout, one)).toBe(masked(expected, one))
    })
  })
})
