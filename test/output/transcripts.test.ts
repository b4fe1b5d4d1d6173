// What a real etcdctl 3.4.23 printed, printed again. In a family of cases one answer was printed in
// several formats: it is decoded from one of them and must give the bytes of all the others, but
// for the differences between 3.4 and 3.7 that are named here one by one.

import { describe, expect, test } from 'vitest'
import { type Format, type FormatSettings, formatFor } from '../../src/output/format.js'
import { type Difference, differences, drawnHere } from '../support/etcdctl-differences.js'
import { type Case, recordedCases, resultOf, stdoutOf } from './recorded.js'

const settings = { hex: false, tableStyle: 'ascii', color: false } as const satisfies FormatSettings

/** Its message holds a name that is not UTF-8, which is lost when it is decoded. */
const unreadable = 'names/role-list/protobuf'

const refusal = ({ stderr_text: stderr = '' }: Case): string | undefined =>
  /^Error: (.* not supported as output format)$/m.exec(stderr)?.[1]

const used = new Set<Difference>()

/** The recorded output as 3.7.1 would have written it. */
function expectedOf(one: Case): Buffer {
  let text = stdoutOf(one).toString('latin1')
  for (const difference of differences) {
    if (!difference.applies(one)) continue
    const utf8 = difference.change(Buffer.from(text, 'latin1').toString())
    if (utf8 === Buffer.from(text, 'latin1').toString()) continue
    text = Buffer.from(utf8).toString('latin1')
    used.add(difference)
  }
  return Buffer.from(text, 'latin1')
}

async function printed(one: Case, source: Case): Promise<Buffer | undefined> {
  const result = resultOf(one, source)
  if (result === undefined) return undefined
  const format: Format = await formatFor(one.format, settings)
  return Buffer.from(format.print(result).stdout)
}

const families = new Map<string, Case[]>()
for (const one of recordedCases) {
  const key = `${one.file} ${one.family}`
  if (one.family !== undefined) families.set(key, [...(families.get(key) ?? []), one])
}

// A lease answer in protobuf is only its header.
const sourceOf = (family: readonly Case[]): Case | undefined =>
  family.find(({ format, argv }) => format === 'protobuf' && argv[0] !== 'lease') ??
  family.find(({ format }) => format === 'json')

describe('families', () => {
  for (const [name, family] of families) {
    const source = sourceOf(family)
    if (source === undefined) continue
    for (const one of family) {
      const refused = refusal(one)
      if (refused !== undefined && drawnHere.test(one.argv.join(' ')) && one.format === 'table') {
        test(`${name}: etcdctl refuses the table, tsctl draws one`, async () => {
          expect(String(await printed(one, source))).toMatch(/^\+-/)
        })
        continue
      }
      if (refused !== undefined) {
        test(`${name}: ${one.name} is refused as by etcdctl`, async () => {
          await expect(printed(one, source)).rejects.toThrow(refused)
        })
        continue
      }
      if (one.name === unreadable) continue
      test(`${name}: ${one.name} from ${source.format}`, async () => {
        const actual = await printed(one, source)
        expect(actual?.toString()).toBe(expectedOf(one).toString())
        expect(actual?.equals(expectedOf(one))).toBe(true)
      })
    }
  }
})

describe('answers alone', () => {
  const alone = recordedCases.filter(
    (one) =>
      one.exit === 0 &&
      !one.argv.some((word) => /^(--hex|--detail|-i|help|--help)$/.test(word)) &&
      // Several answers in a row, prompts and commands of their own stand before or after these.
      stdoutOf(one).toString().trim().split('\n').length === 1,
  )
  for (const one of alone) {
    if (one.format !== 'json' && one.format !== 'protobuf') continue
    if (one.format === 'protobuf' && one.argv[0] === 'lease') continue
    if (one.format === 'json' && !stdoutOf(one).toString().startsWith('{')) continue
    if (resultOf(one, one) === undefined) continue
    test(`${one.file}: ${one.name} read and printed again`, async () => {
      expect(String(await printed(one, one))).toBe(expectedOf(one).toString())
    })
  }
})

function find(name: string): Case {
  const found = recordedCases.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no case ${name}`)
  return found
}

// Runs that got the same answer although they are not marked as a family.
test.each([
  ['alarm/disarm/simple', 'alarm/disarm/json'],
  ['lease/timetolive-keys-none/simple', 'lease/timetolive-keys-none/json'],
  ['lease/timetolive-keys/simple', 'lease/timetolive-keys/json'],
  ['lease/timetolive-keys/fields', 'lease/timetolive-keys/json'],
  ['lease/keep-alive-once/simple', 'lease/keep-alive-once/json'],
  ['lease/keep-alive-once/fields', 'lease/keep-alive-once/json'],
  ['lease/revoke/fields', 'lease/revoke/json'],
])('%s from %s', async (name, source) => {
  expect(String(await printed(find(name), find(source)))).toBe(expectedOf(find(name)).toString())
})

test('a progress notification is announced and then printed without events', async () => {
  const one = find('watch/interactive-progress-json')
  const answer = stdoutOf(one).toString().split('\n')[1] ?? ''
  const watch = { ...one, argv: ['watch'], stdout_b64: Buffer.from(answer).toString('base64') }
  expect(String(await printed(watch, watch))).toBe(expectedOf(one).toString())
})

test('every difference that is named is needed', () => {
  expect(differences.filter((one) => !used.has(one)).map(({ reason }) => reason)).toEqual([])
})
