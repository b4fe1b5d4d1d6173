// verify.ts: everything that can be said for or against a snapshot file without a server: digest,
// both metas, every page, every record and every setting in the other buckets. Findings are listed,
// not thrown, so that one run tells the whole story.
import type { Files } from '../platform/files.js'
import { checkDatabase } from '../storage/bbolt/check.js'
import type { Leaf } from '../storage/bbolt/leaf.js'
import { metaDamage } from '../storage/bbolt/reader.js'
import { CorruptionError } from '../storage/errors.js'
import { bucketNames, decodeRevision, type RevisionKey } from '../storage/schema.js'
import { blockSize, type DigestReading, digestMismatch, digestSize, readDigest } from './digest.js'
import { SnapshotError, systemReason } from './errors.js'
import { leafCounter, type Progress } from './progress.js'
import { decodeRecord } from './record.js'
import { settingProblem } from './settings.js'
import { together } from './together.js'

export interface SnapshotFinding {
  file: string
  offset: number
  /** What is wrong, with what was expected. */
  what: string
}

export interface SnapshotReport {
  /** `missing` is no damage: a copy of member/snap/db has none. */
  digest: 'valid' | 'wrong' | 'missing'
  /** The first ones. */
  findings: readonly SnapshotFinding[]
  /** All of them. */
  findingCount: number
}

const findingsMax = 100

/** Throws SnapshotError only when the file cannot be opened at all. */
export async function verifySnapshot(
  file: string,
  options: { files: Files; progress?: Progress },
): Promise<SnapshotReport> {
  const report = new Report(file)
  const handle = await options.files.open(file, 'read').catch((error) => {
    throw new SnapshotError(systemReason('open', file, error), { cause: error })
  })
  try {
    for (const error of await metaDamage(file, handle)) report.corruption(error)
    const place = report.findings.length
    const content = verifyContent(file, options, report)
    const [reading] = await together(readDigest(handle), content)
    const digest = digestState(reading)
    const problem = digestFinding(reading)
    if (problem !== undefined) report.insert(place, problem)
    return { digest, findings: report.findings, findingCount: report.count }
  } finally {
    await handle.close()
  }
}

async function verifyContent(
  file: string,
  options: { files: Files; progress?: Progress },
  report: Report,
): Promise<void> {
  const content = new ContentCheck(report)
  const count = await leafCounter(file, options)
  try {
    const check = await checkDatabase(file, {
      ...options,
      onBucket: (name) => content.bucket(name.toString()),
      onLeaf: (leaf) => {
        content.leaf(leaf)
        count(leaf)
      },
    })
    for (const error of check.findings) report.corruption(error)
    report.more(check.findingCount - check.findings.length)
    content.end()
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    // Without a meta that counts there is no database. A damaged one has been reported, but a
    // sound one can speak of more pages than there are.
    if (!report.has(error)) report.corruption(error)
  }
}

function digestState({ stored, computed }: DigestReading): SnapshotReport['digest'] {
  if (stored === undefined) return 'missing'
  return stored.equals(computed) ? 'valid' : 'wrong'
}

interface DigestFinding {
  offset: number
  what: string
}

function digestFinding({
  stored,
  computed,
  contentBytes,
}: DigestReading): DigestFinding | undefined {
  if (stored === undefined) {
    const rest = contentBytes % blockSize
    const expected = `whole blocks of ${blockSize}, with or without a digest of ${digestSize}`
    const what = `${rest} bytes at the end, expected ${expected}`
    return rest === 0 ? undefined : { offset: contentBytes - rest, what }
  }
  if (stored.equals(computed)) return undefined
  return { offset: contentBytes, what: digestMismatch(stored, computed) }
}

class Report {
  readonly findings: SnapshotFinding[] = []
  count = 0
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  add(offset: number, what: string): void {
    this.count++
    if (this.findings.length < findingsMax) this.findings.push({ file: this.#file, offset, what })
  }

  /** Before findings that were added while this one was not known yet. */
  insert(at: number, { offset, what }: { offset: number; what: string }): void {
    this.count++
    this.findings.splice(at, 0, { file: this.#file, offset, what })
    this.findings.splice(findingsMax)
  }

  corruption({ offset, expected, found }: CorruptionError): void {
    this.add(offset, `${found}, expected ${expected}`)
  }

  has({ offset, expected, found }: CorruptionError): boolean {
    const what = `${found}, expected ${expected}`
    return this.findings.some((one) => one.offset === offset && one.what === what)
  }

  /** Findings that were counted but not kept. */
  more(count: number): void {
    this.count += count
  }
}

/** Looks at the items of each bucket as they pass by. */
class ContentCheck {
  readonly #report: Report
  readonly #missing = new Set<string>(bucketNames)
  #bucket = ''
  #last: RevisionKey = { main: 0, sub: -1, tombstone: false }

  constructor(report: Report) {
    this.#report = report
  }

  bucket(name: string): void {
    this.#bucket = name
    this.#missing.delete(name)
  }

  leaf(leaf: Leaf): void {
    for (let at = 0; at < leaf.count; at++) {
      const problem =
        this.#bucket === 'key'
          ? this.#recordProblem(leaf.key(at), leaf.value(at))
          : settingProblem(this.#bucket, leaf.key(at), leaf.value(at))
      if (problem !== undefined) this.#report.add(leaf.offset(at), problem)
    }
  }

  end(): void {
    for (const name of this.#missing) this.#report.add(0, `no bucket "${name}"`)
  }

  #recordProblem(key: Buffer, value: Buffer): string | undefined {
    const revision = decodeRevision(key)
    if (revision === undefined) return `key ${key.toString('hex')} is no revision`
    const last = this.#last
    this.#last = revision
    const { main, sub, tombstone } = revision
    const where = `record ${main}/${sub}`
    if (main < last.main || (main === last.main && sub <= last.sub)) {
      return `${where} comes after ${last.main}/${last.sub}`
    }
    // What a bumped revision leaves behind.
    if (value.length === 0) return undefined
    const record = decodeRecord(value)
    if (record === undefined) return `${where} does not decode`
    if (record.key.length === 0) return `${where} has no key`
    if (!tombstone && record.mod_revision !== `${main}`) {
      return `${where} says that it was modified at ${record.mod_revision}`
    }
    return undefined
  }
}
