// snapshot status|verify|hashkv and get --snapshot: words, texts, exit codes, and what they make of
// damage.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Files } from '../../src/platform/files.js'
import { database, record, recorded, recordedFile, snapshotOf } from '../snapshot/files.js'
import { inMemory } from '../storage/bbolt/databases.js'
import { startEmbedded } from '../support/embedded.js'
import { FakeFiles, seededRandom } from '../support/fake-files.js'
import { lastLine, type Run, run } from './run.js'

const snapshot = (...words: string[]): Promise<Run> => run(['snapshot', ...words])

test.each([
  [['status'], 128, 'snapshot status requires exactly one argument'],
  [['status', 'a', 'b'], 128, 'snapshot status requires exactly one argument'],
  [['verify'], 128, 'snapshot verify requires exactly one argument'],
  [['verify', 'a', 'b'], 128, 'snapshot verify requires exactly one argument'],
  [['hashkv'], 1, 'accepts 1 arg(s), received 0'],
  [['hashkv', 'a', 'b', 'c'], 1, 'accepts 1 arg(s), received 3'],
  [['status', '/nosuch.db'], 1, 'stat /nosuch.db: no such file or directory'],
  [['verify', '/nosuch.db'], 1, 'open /nosuch.db: no such file or directory'],
  [['hashkv', '/nosuch.db'], 1, 'open /nosuch.db: no such file or directory'],
  [['status', recordedFile, '-w', 'protobuf'], 4, 'protobuf not supported as output format'],
  [['status', recordedFile, '-w', 'none'], 4, 'unsupported output format'],
])('%j is refused', async (words, code, message) => {
  const result = await snapshot(...words)
  expect(result).toMatchObject({ code, dialled: [] })
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test('status prints what etcdctl does, with live keys counted', async () => {
  const { status } = await recorded()
  const { hash, revision, totalSize } = status
  const simple = await snapshot('status', recordedFile)
  expect(simple).toMatchObject({ code: 0, stderr: '' })
  expect(String(simple.stdout)).toBe(`${hash.toString(16)}, ${revision}, 54, 102 kB, \n`)
  const json = await snapshot('status', recordedFile, '-w', 'json')
  const told = { hash, revision, totalKey: 54, totalSize, version: '' }
  expect(String(json.stdout)).toBe(`${JSON.stringify(told)}\n`)
})

test('hashkv prints hash, revision and compaction', async () => {
  const { hashKv, hashKvAt90, revision } = await recorded()
  const now = await snapshot('hashkv', recordedFile)
  expect(String(now.stdout)).toBe(`${hashKv.hash}, ${revision}, ${hashKv.compactRevision}\n`)
  const then = await snapshot('hashkv', recordedFile, '--rev', '90')
  expect(String(then.stdout)).toBe(`${hashKvAt90.hash}, 90, 80\n`)
  const compacted = await snapshot('hashkv', recordedFile, '--rev', '3')
  expect(compacted.code).toBe(1)
  expect(lastLine(compacted)).toContain('required revision has been compacted')
})

test('verify says that a sound file is sound', async () => {
  const result = await snapshot('verify', recordedFile)
  expect(result).toMatchObject({ code: 0, stderr: '' })
  expect(String(result.stdout)).toBe('digest valid, 0 problems\n')
})

test('verify says what is wrong and where', async () => {
  const bytes = await readFile(recordedFile)
  bytes.writeUInt8(99, 6 * 4096)
  const files = inMemory(bytes)
  const result = await run(['snapshot', 'verify', 's'], { files })
  expect(result.code).toBe(1)
  expect(String(result.stdout)).toMatch(/^digest wrong, \d+ problems\nat 102400: expected sha256/)
  expect(String(result.stdout)).toContain('\nat 24576: page 99, expected page 6\n')
  expect(lastLine(result)).toMatch(
    /^Error: snapshot file verification failed. \d+ problems found.$/,
  )
})

test('status of a file with a damaged value prints what is there, and fails', async () => {
  const bytes = await readFile(recordedFile)
  const at = bytes.indexOf('later 19')
  bytes.write('LATER', at)
  const result = await run(['snapshot', 'status', 's'], { files: inMemory(bytes) })
  expect(result.code).toBe(1)
  expect(String(result.stdout)).toMatch(/^[0-9a-f]+, 117, 54, 102 kB, \n$/)
  expect(lastLine(result)).toMatch(/^Error: expected sha256 \[.*\], got \[.*\]$/)
})

const known = [
  /^database s at \d+: .*, expected .*$/,
  /^snapshot file (integrity check|verification) failed\. \d+ (errors|problems) found\.$/,
  /^expected sha256 \[[\d ]+\], got \[[\d ]+\]$/,
  /^snapshot missing hash but --skip-hash-check=false$/,
  /^cannot (read|restore) (the record at \d+|s at \d+): .*$/,
  /^etcdserver: mvcc: required revision has been compacted$/,
]

/** Fails with a sentence that a person can use, or not at all; never by accident. */
function expectClear({ code, stderr }: Run): void {
  if (code === 0) return
  expect(code).toBe(1)
  const [, line = ''] = /^Error: (.*)$/m.exec(stderr) ?? []
  expect(known.some((form) => form.test(line)) || line).toBe(true)
}

/** A disk with one file, `s`, and nothing else. */
const diskWith = (bytes: Uint8Array): Files => ({
  ...inMemory(bytes),
  exists: async (file) => file === 's',
})

const smallSnapshot = () =>
  snapshotOf(database([record(2, 'a', '1'), record(3, 'b', '2')]), { pageSizeBytes: 1024 })

test('a change of any byte is told by each command', async () => {
  const bytes = await smallSnapshot()
  const files = diskWith(bytes)
  const sound = await run(['snapshot', 'status', 's'], { files })
  expect(sound.code).toBe(0)
  for (let at = 0; at < bytes.length; at++) {
    const before = bytes.readUInt8(at)
    bytes.writeUInt8(before ^ (1 << (at % 8)), at)
    for (const words of [['status'], ['verify'], ['restore', '--data-dir=/data']]) {
      const result = await run(['snapshot', ...words, 's'], { files })
      expect(result.code).toBe(1)
      expectClear(result)
    }
    expectClear(await run(['get', '--snapshot=s', '--prefix', ''], { files }))
    bytes.writeUInt8(before, at)
  }
})

test('a cut at any length is told by each command, a missing digest by those who need it', async () => {
  const bytes = await smallSnapshot()
  const content = bytes.length - 32
  for (let length = 0; length < bytes.length; length++) {
    const files = diskWith(bytes.subarray(0, length))
    const restored = await run(['snapshot', 'restore', 's', '--data-dir=/data'], { files })
    expect(restored.code).toBe(1)
    expectClear(restored)
    const verified = await run(['snapshot', 'verify', 's'], { files })
    expect(verified.code).toBe(length === content ? 0 : 1)
    const status = await run(['snapshot', 'status', 's'], { files })
    expect(status.code).toBe(length >= content ? 0 : 1)
    for (const result of [verified, status]) expectClear(result)
  }
})

test('a damaged file is restored without its digest, or refused, and then nothing is left', async () => {
  const bytes = await smallSnapshot()
  let restoredCount = 0
  for (let at = 0; at < bytes.length; at += 7) {
    const files = new FakeFiles({ random: seededRandom(at) })
    const handle = await files.open('/s', 'create')
    const before = bytes.readUInt8(at)
    bytes.writeUInt8(before ^ 0x10, at)
    await handle.write([bytes], 0)
    await handle.close()
    bytes.writeUInt8(before, at)
    const words = ['snapshot', 'restore', '/s', '--skip-hash-check', '--data-dir=/data']
    const result = await run(words, { files })
    if (result.code === 0) restoredCount++
    else expect(await files.list('/')).toEqual(['s'])
    expect(await files.exists('/data')).toBe(result.code === 0)
  }
  expect(restoredCount).toBeGreaterThan(0)
})

test('a file that may not be read is named', async () => {
  const denied = Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'open' })
  const files = { ...diskWith(Buffer.alloc(0)), open: () => Promise.reject(denied) }
  for (const words of [
    ['snapshot', 'status', 's'],
    ['snapshot', 'verify', 's'],
    ['snapshot', 'hashkv', 's'],
    ['snapshot', 'restore', 's', '--data-dir=/data'],
    ['get', 'k', '--snapshot=s'],
  ]) {
    const result = await run(words, { files })
    expect(result.code).toBe(1)
    expect(lastLine(result)).toBe('Error: open s: permission denied')
  }
})

test('get looks into a file as it looks into a server', async () => {
  await using server = await startEmbedded()
  const tool = (...words: string[]) =>
    run(words, { env: { ETCDCTL_ENDPOINTS: server.endpoint }, connection: 'real' })
  for (const [key, value] of ['b1', 'a2', 'b3', 'a1'].entries()) {
    await tool('put', value, `${key}`)
  }
  await tool('del', 'b1')
  await tool('put', 'a2', 'again')
  const file = `${server.dataDir}/../s.db`
  await tool('snapshot', 'save', file)
  for (const words of [
    ['a1'],
    ['a', 'b'],
    ['--prefix', ''],
    ['--prefix', '', '--rev=4'],
    ['--from-key', 'a2', '--print-value-only'],
    ['--prefix', '', '--limit=2', '--order=DESCEND', '--keys-only'],
    ['--prefix', '', '--sort-by=MODIFY', '--order=ASCEND'],
    ['--prefix', '', '--min-mod-rev=5'],
    ['a1', '--rev=1'],
    ['a1', '--rev=100'],
    ['', '--print-value-only', '-w', 'json'],
    ['a1', '--count-only'],
    ['--prefix', 'a', '--count-only', '-w', 'fields'],
    ['a1', '-w', 'table'],
  ]) {
    const asked = await tool('get', ...words)
    const looked = await run(['get', ...words, '--snapshot', file])
    expect(looked.dialled).toEqual([])
    expect(withoutIds(looked)).toEqual(withoutIds(asked))
  }
})

/** A file has neither cluster nor member nor term. */
function withoutIds({ code, stdout, stderr }: Run) {
  const text = String(stdout).replace(/^"(ClusterID|MemberID|RaftTerm)" : \d+$/gm, '$1')
  return { code, stderr, text }
}
