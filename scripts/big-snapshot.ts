// big-snapshot.ts: makes a snapshot file as large as wanted, as a server would send it, without a
// server: `npx tsx scripts/big-snapshot.ts FILE [MEGABYTES]` (1000 by default). The contents depend
// on nothing but the size: values of 1 KiB, every tenth record a key written again, every fiftieth
// a deletion, so that there is a history to count. Memory stays flat.
import { setImmediate } from 'node:timers/promises'
import { KeyValue } from '../src/api/gen/kv.js'
import { systemFiles as files } from '../src/platform/files.js'
import { readDigest } from '../src/snapshot/digest.js'
import { type BucketStream, type Item, writeDatabase } from '../src/storage/bbolt/writer.js'
import { bucketNames, encodeMember, encodeRevision, metaKey } from '../src/storage/schema.js'

const valueBytes = 1024
const batchRecords = 1024
/** Record, revision key and page share of a value of 1 KiB. */
const bytesARecord = 1350
const firstRevision = 2

/** Values are pieces of it: bytes that look like chance, and cost nothing to make. */
const pool = noise(1 << 20)

function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let state = 0x9e3779b9
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

function recordOf(index: number): Item {
  const main = firstRevision + index
  const isDeletion = index % 50 === 49
  const isOverwrite = index % 10 === 9
  const key = Buffer.from(`big/${String(isOverwrite ? index >> 1 : index).padStart(12, '0')}`)
  if (isDeletion) {
    return { key: encodeRevision(main, 0, true), value: encoded({ key }) }
  }
  const from = (index * 8191) % (pool.length - valueBytes)
  const value = pool.subarray(from, from + valueBytes)
  const version = isOverwrite ? '2' : '1'
  const created = isOverwrite ? firstRevision + (index >> 1) : main
  const revisions = { create_revision: `${created}`, mod_revision: `${main}` }
  return { key: encodeRevision(main, 0), value: encoded({ key, value, version, ...revisions }) }
}

const encoded = (kv: Partial<KeyValue>): Uint8Array =>
  KeyValue.encode(KeyValue.fromPartial(kv)).finish()

async function* records(count: number): AsyncGenerator<Iterable<Item>> {
  for (let from = 0; from < count; from += batchRecords) {
    const size = Math.min(batchRecords, count - from)
    yield Array.from({ length: size }, (_, at) => recordOf(from + at))
    await setImmediate()
  }
}

async function* once(items: readonly Item[]): AsyncGenerator<Iterable<Item>> {
  yield items
}

const memberId = 0x8e9e05c52164694dn
const settings: Readonly<Record<string, readonly Item[]>> = {
  members: [
    {
      key: Buffer.from(memberId.toString(16)),
      value: Buffer.from(
        encodeMember({
          ...{ id: memberId, name: 'default', isLearner: false },
          ...{ peerUrls: ['http://localhost:2380'], clientUrls: [] },
        }),
      ),
    },
  ],
  meta: [{ key: metaKey.consistentIndex, value: Buffer.from('0000000000000004', 'hex') }],
}

export async function writeBigSnapshot(file: string, sizeBytes: number): Promise<void> {
  const count = Math.ceil(sizeBytes / bytesARecord)
  const buckets: BucketStream[] = bucketNames.map((name) => ({
    name,
    batches: name === 'key' ? records(count) : once(settings[name] ?? []),
  }))
  await files.remove(file)
  const handle = await files.open(file, 'create')
  try {
    const written = await writeDatabase(handle, buckets)
    const { computed } = await readDigest(handle)
    await handle.write([computed], written.sizeBytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function main([file, megabytes = '1000']: readonly string[]): Promise<void> {
  if (file === undefined || !(Number(megabytes) > 0)) {
    process.stderr.write('usage: npx tsx scripts/big-snapshot.ts FILE [MEGABYTES]\n')
    process.exitCode = 1
    return
  }
  await writeBigSnapshot(file, Number(megabytes) * 1e6)
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2))
