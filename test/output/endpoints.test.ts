// Endpoint commands answer with a list of their own making, which no single message holds: the
// recorded JSON is read into rows and printed as JSON and fields again. What 3.7 adds to the
// fields of 3.4 is taken out before they are compared.

import { expect, test } from 'vitest'
import { HashKVResponse, StatusResponse } from '../../src/api/gen/rpc.js'
import { formatFor, type Result } from '../../src/output/format.js'
import { exactNumbers, messageFrom, nanoseconds, recordedCases, stdoutOf } from './recorded.js'

function recorded(name: string): string {
  const one = recordedCases.find((candidate) => candidate.name === name)
  if (one === undefined) throw new Error(`no recorded case ${name}`)
  return stdoutOf(one).toString()
}

function resultOf(json: string): Result {
  const all = exactNumbers(json) as Record<string, unknown>[]
  if (all.every((one) => 'endpoint' in one)) {
    const rows = all.map(({ endpoint, health, took, error = '' }) => ({
      endpoint: String(endpoint),
      health: health === true,
      tookNs: nanoseconds(String(took)),
      error: String(error),
    }))
    return { kind: 'endpointHealth', rows }
  }
  if (all.every((one) => 'Status' in one)) {
    const rows = all.map(({ Endpoint, Status }) => ({
      endpoint: String(Endpoint),
      response: messageFrom(StatusResponse, Status) as StatusResponse,
    }))
    return { kind: 'endpointStatus', rows }
  }
  const rows = all.map(({ Endpoint, HashKV }) => {
    const response = messageFrom(HashKVResponse, HashKV) as HashKVResponse
    return { endpoint: String(Endpoint), response: { ...response, hash: Number(response.hash) } }
  })
  return { kind: 'endpointHashKv', rows }
}

async function printed(result: Result, name: 'json' | 'fields'): Promise<string> {
  const format = await formatFor(name, { hex: false, tableStyle: 'ascii', color: false })
  return String(format.print(result).stdout)
}

test.each([
  'endpoint/health-three/json',
  'endpoint/health-dead/json',
  'endpoint/one-down/health-json',
  'endpoint/status/json',
  'endpoint/status-three/json',
  'endpoint/hashkv/json',
])('%s is printed again byte for byte', async (name) => {
  expect(await printed(resultOf(recorded(name)), 'json')).toBe(recorded(name))
})

const addedLines =
  /^"(StorageVersion|DBSizeInUse|DBSizeQuota|DowngradeTargetVersion|DowngradeEnabled|HashRevision)" : .*\n/gm

test.each(['endpoint/status', 'endpoint/status-three', 'endpoint/hashkv'])(
  '%s: the fields of 3.4 are among those of 3.7, in the same order',
  async (name) => {
    const text = await printed(resultOf(recorded(`${name}/json`)), 'fields')
    expect(text.replace(addedLines, '')).toBe(recorded(`${name}/fields`))
    expect(text).not.toBe(recorded(`${name}/fields`))
  },
)

test('the fields of health stand as recorded, but for the time it took', async () => {
  const masked = (text: string): string => text.replace(/"Took" : .*/g, '"Took" : masked')
  for (const [json, fields] of [
    ['endpoint/health-three/json', 'endpoint/health-three/fields'],
    ['endpoint/one-down/health-json', 'endpoint/one-down/health-fields'],
  ] as const) {
    const text = await printed(resultOf(recorded(json)), 'fields')
    expect(masked(text)).toBe(masked(recorded(fields)))
  }
})
