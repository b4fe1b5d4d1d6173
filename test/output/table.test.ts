// Boxes: compared with those that a real etcdctl 3.4 drew, cell by cell where 3.7 has more columns,
// and with the look of 3.7.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeyValue } from '../../src/api/gen/kv.js'
import { HashKVResponse, RangeResponse, StatusResponse } from '../../src/api/gen/rpc.js'
import { type FormatSettings, formatFor, type Result } from '../../src/output/format.js'
import {
  exactNumbers,
  messageFrom,
  nanoseconds,
  recordedCases,
  resultOf,
  stdoutOf,
} from './recorded.js'
import { samples } from './samples.js'

async function drawn(result: Result, more: Partial<FormatSettings> = {}): Promise<string> {
  const settings = { hex: false, tableStyle: 'ascii', color: false, ...more } as const
  const format = await formatFor('table', settings)
  return String(format.print(result).stdout)
}

function recorded(name: string): string {
  const one = recordedCases.find((candidate) => candidate.name === name)
  if (one === undefined) throw new Error(`no recorded case ${name}`)
  return stdoutOf(one).toString()
}

/** A box as a list of rows, each from column to cell; lines that continue a cell are joined. */
function rowsOf(box: string): Record<string, string>[] {
  const lines = box.split('\n').filter((line) => line.startsWith('|'))
  const cells = lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
  const [columns = [], ...rows] = cells
  return rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i] ?? '', cell])))
}

describe('recorded from etcdctl 3.4', () => {
  test.each(['endpoint/health-dead/table', 'endpoint/one-down/health-table'])(
    '%s is drawn byte for byte',
    async (name) => {
      const rows = rowsOf(recorded(name)).map((row) => ({
        endpoint: row.ENDPOINT ?? '',
        health: row.HEALTH === 'true',
        tookNs: nanoseconds(row.TOOK ?? ''),
        error: row.ERROR ?? '',
      }))
      expect(rows.length).toBeGreaterThan(0)
      expect(await drawn({ kind: 'endpointHealth', rows })).toBe(recorded(name))
    },
  )

  test.each(['unstarted', 'learner'])('member list (%s) is drawn byte for byte', async (what) => {
    const json = recordedCases.find(({ name }) => name === `member/list-${what}/json`)
    const result = json && resultOf(json, json)
    if (result === undefined) throw new Error('the case is gone')
    expect(await drawn(result)).toBe(recorded(`member/list-${what}/table`))
  })

  test('endpoint status has the cells of 3.4 among those of 3.7', async () => {
    const answers = exactNumbers(recorded('endpoint/status/json')) as Record<string, unknown>[]
    const rows = answers.map(({ Endpoint, Status }) => ({
      endpoint: String(Endpoint),
      response: messageFrom(StatusResponse, Status) as StatusResponse,
    }))
    expect(rowsOf(await drawn({ kind: 'endpointStatus', rows }))).toMatchObject(
      rowsOf(recorded('endpoint/status/table')),
    )
  })

  test('endpoint hashkv has the cells of 3.4 among those of 3.7', async () => {
    const rows = rowsOf(recorded('endpoint/hashkv/table')).map((row) => ({
      endpoint: row.ENDPOINT ?? '',
      response: { ...HashKVResponse.decode(Buffer.alloc(0)), hash: Number(row.HASH) },
    }))
    expect(rowsOf(await drawn({ kind: 'endpointHashKv', rows }))).toMatchObject(
      rowsOf(recorded('endpoint/hashkv/table')),
    )
  })

  test('snapshot status has the cells of 3.4 among those of 3.7', async () => {
    const status = { ...JSON.parse(recorded('snapshot/status/json')), version: '' }
    expect(rowsOf(await drawn({ kind: 'snapshotStatus', status }))).toMatchObject(
      rowsOf(recorded('snapshot/status/table')),
    )
  })
})

const lines = (...all: string[]): string => `${all.join('\n')}\n`

describe('the look of 3.7', () => {
  test('a table with rows', async () => {
    const { response } = samples.memberList['started and not'] ?? {}
    if (response === undefined) throw new Error('the sample is gone')
    const members = response.members.map((one) => ({ ...one, peerURLs: one.peerURLs.slice(0, 1) }))
    const result = { kind: 'memberList', response: { ...response, members } } as const
    expect(await drawn(result, { tableStyle: 'unicode' })).toBe(
      lines(
        '┌──────────────────┬───────────┬────────┬────────────────────────┬───────────────────────┬────────────┐',
        '│        ID        │  STATUS   │  NAME  │       PEER ADDRS       │     CLIENT ADDRS      │ IS LEARNER │',
        '├──────────────────┼───────────┼────────┼────────────────────────┼───────────────────────┼────────────┤',
        '│ 8211f1d0f64f3269 │   started │ infra1 │ http://127.0.0.1:12380 │ http://127.0.0.1:2379 │      false │',
        '│ 91bc3c398fb3c146 │ unstarted │        │ http://127.0.0.1:22380 │                       │       true │',
        '└──────────────────┴───────────┴────────┴────────────────────────┴───────────────────────┴────────────┘',
      ),
    )
  })

  test('a table of one row', async () => {
    const result = samples.snapshotStatus['of 3.7']
    if (result === undefined) throw new Error('the sample is gone')
    expect(await drawn(result, { tableStyle: 'unicode' })).toBe(
      lines(
        '┌─────────┬──────────┬────────────┬────────────┬─────────┐',
        '│  HASH   │ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │',
        '├─────────┼──────────┼────────────┼────────────┼─────────┤',
        '│ 7ef846e │   485261 │      11642 │      94 MB │   3.7.0 │',
        '└─────────┴──────────┴────────────┴────────────┴─────────┘',
      ),
    )
  })

  test('without rows there is no line under the header', async () => {
    expect(await drawn({ kind: 'endpointHashKv', rows: [] }, { tableStyle: 'unicode' })).toBe(
      lines(
        '┌──────────┬──────┬───────────────┐',
        '│ ENDPOINT │ HASH │ HASH REVISION │',
        '└──────────┴──────┴───────────────┘',
      ),
    )
  })

  test('without rows ASCII has it, as etcdctl 3.4', async () => {
    expect(await drawn({ kind: 'endpointHashKv', rows: [] })).toBe(
      lines(
        '+----------+------+---------------+',
        '| ENDPOINT | HASH | HASH REVISION |',
        '+----------+------+---------------+',
        '+----------+------+---------------+',
      ),
    )
  })
})

const health = (endpoint: string, error: string): Result => ({
  kind: 'endpointHealth',
  rows: [{ endpoint, health: false, tookNs: undefined, error }],
})

test('wide characters count two, combining marks none', async () => {
  expect(await drawn(health('日本', 'e\u0301'))).toBe(
    lines(
      '+----------+--------+------+-------+',
      '| ENDPOINT | HEALTH | TOOK | ERROR |',
      '+----------+--------+------+-------+',
      '|     日本 |  false |      |     e\u0301 |',
      '+----------+--------+------+-------+',
    ),
  )
  expect(await drawn(health('日本語日本語', 'x'))).toContain('| 日本語日本語 |')
})

test('a line feed makes another line of the row, each cut and aligned by itself', async () => {
  expect(await drawn(health('host', ' first \nsecond one '))).toBe(
    lines(
      '+----------+--------+------+------------+',
      '| ENDPOINT | HEALTH | TOOK |   ERROR    |',
      '+----------+--------+------+------------+',
      '|     host |  false |      |      first |',
      '|          |        |      | second one |',
      '+----------+--------+------+------------+',
    ),
  )
})

test('a long cell with spaces is neither wrapped nor shortened', async () => {
  const error = 'one two three '.repeat(20).trim()
  expect(error.length).toBe(279)
  expect(await drawn(health('host', error))).toContain(`| ${error} |`)
})

test('a table drawn in batches is one table', async () => {
  const users = Array.from({ length: 450 }, (_, i) => (i === 449 ? 'the longest name' : `u${i}`))
  const response = { header: undefined, users }
  for (const tableStyle of ['ascii', 'unicode'] as const) {
    const box = await drawn({ kind: 'userList', response }, { tableStyle })
    const bar = tableStyle === 'ascii' ? '|' : '│'
    const rows = box.trimEnd().split('\n')
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set(['the longest name'.length + 4]))
    const names = rows.filter((row) => row.startsWith(bar)).map((row) => row.slice(1, -1).trim())
    expect(names).toEqual(['USER', ...users])
    expect(rows.length).toBe(users.length + 4)
  }
})

test('colour changes nothing but the colour', async () => {
  for (const kind of ['memberList', 'endpointHealth', 'watch', 'alarm'] as const) {
    for (const result of Object.values(samples[kind])) {
      const plain = await drawn(result)
      const colored = await drawn(result, { color: true })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes are what is removed.
      expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(plain)
      if (plain.includes('|')) expect(colored).not.toBe(plain)
    }
  }
})

test('keys and values cannot break the box', async () => {
  const key = Buffer.from('a\n|\u001b[2J')
  const kv = { key, create_revision: '2', mod_revision: '2', version: '1', lease: '0' }
  const kvs = [{ ...kv, value: Buffer.of(0xff, 0x20) }]
  const response = { header: undefined, kvs, more: false, count: '1' }
  expect(await drawn({ kind: 'get', response })).toBe(
    lines(
      '+---------------+---------+-----------------+--------------+---------+-------+',
      '|      KEY      |  VALUE  | CREATE REVISION | MOD REVISION | VERSION | LEASE |',
      '+---------------+---------+-----------------+--------------+---------+-------+',
      '| "a\\n|\\x1b[2J" | "\\xff " |               2 |            2 |       1 |       |',
      '+---------------+---------+-----------------+--------------+---------+-------+',
    ),
  )
})

describe('rows that only need padding', () => {
  const cell = fc.stringMatching(/^[!-~]([ -~]{0,8}[!-~])?$|^$/)
  const pair = fc.record({ key: cell, value: cell, version: fc.nat(1e6) })

  test.each(['ascii', 'unicode'] as const)(
    'are drawn as by cli-table3 (%s)',
    async (tableStyle) => {
      const property = fc.asyncProperty(fc.array(pair, { minLength: 1 }), async (pairs) => {
        const kvs = pairs.map(({ key, value, version }) => ({
          ...KeyValue.fromPartial({ key: Buffer.from(key), value: Buffer.from(value) }),
          version: String(version),
        }))
        // A wide character in the same batch makes cli-table3 draw all of it.
        const wide = KeyValue.fromPartial({ key: Buffer.from('宽') })
        const linesOf = async (of: KeyValue[]) =>
          (
            await drawn(
              { kind: 'get', response: RangeResponse.fromPartial({ kvs: of }) },
              { tableStyle },
            )
          )
            .split('\n')
            .slice(3, 3 + kvs.length)
        expect(await linesOf(kvs)).toEqual(await linesOf([...kvs, wide]))
      })
      await fc.assert(property, { numRuns: 50 })
    },
  )
})
