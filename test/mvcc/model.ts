// A store so simple that it is right by reading: the list of all changes, and a loop for each
// question. What the property tests compare the real one with.
import { KeyValue } from '../../src/api/gen/kv.js'
import { crc32c } from '../../src/storage/crc32c.js'
import { encodeRevision } from '../../src/storage/schema.js'

export interface Version {
  key: string
  value: string
  main: number
  sub: number
  tombstone: boolean
  createRevision: number
  version: number
  lease: bigint
}

export type Write =
  | { kind: 'put'; key: string; value: string; lease: bigint }
  | { kind: 'delete'; key: string; end: string | undefined }

export class Model {
  readonly versions: Version[] = []
  revision = 1
  compactRevision = -1

  /** One transaction. */
  write(writes: readonly Write[]): void {
    const main = this.revision + 1
    let sub = 0
    for (const write of writes) {
      if (write.kind === 'put') {
        const before = this.at(write.key, main)
        const createRevision = before?.createRevision ?? main
        const version = (before?.version ?? 0) + 1
        const { key, value, lease } = write
        const facts = { key, value, lease, createRevision, version }
        this.versions.push({ ...facts, main, sub: sub++, tombstone: false })
        continue
      }
      for (const { key } of this.range(write.key, write.end, main)) {
        const nothing = { value: '', lease: 0n, createRevision: 0, version: 0 }
        this.versions.push({ ...nothing, key, main, sub: sub++, tombstone: true })
      }
    }
    if (sub > 0) this.revision = main
  }

  newest(key: string, main: number): Version | undefined {
    return this.versions.findLast((version) => version.key === key && version.main <= main)
  }

  at(key: string, main: number): Version | undefined {
    const found = this.newest(key, main)
    return found?.tombstone ? undefined : found
  }

  range(key: string, end: string | undefined, main: number): Version[] {
    const holds = (other: string) =>
      end === undefined ? other === key : other >= key && (end === '\0' || other < end)
    const keys = new Set(this.versions.map((version) => version.key).filter(holds))
    return [...keys].sort().flatMap((held) => this.at(held, main) ?? [])
  }

  /** What is left when all compactions are through. */
  kept(): Version[] {
    const { compactRevision } = this
    return this.versions.filter((version) => {
      if (version.main > compactRevision) return true
      if (this.newest(version.key, compactRevision) !== version) return false
      return !version.tombstone || version.main === compactRevision
    })
  }

  /**
   * Of what a compaction at `at` would remove, nothing old counts; but if that is everything, what
   * the compaction that was made has kept does.
   */
  hash(at: number, compactRevision: number): number {
    const parts: Buffer[] = [Buffer.from('key')]
    const keptAt = this.range('\0', '\0', at).length > 0 ? at : compactRevision
    for (const version of this.versions) {
      const { main, sub, tombstone } = version
      if (main > at) continue
      const isKept = this.newest(version.key, keptAt) === version && !tombstone
      if (main <= compactRevision && !isKept) continue
      parts.push(encodeRevision(main, sub, tombstone), encoded(version))
    }
    return crc32c(Buffer.concat(parts))
  }
}

export function encoded(version: Version): Buffer {
  return Buffer.from(
    KeyValue.encode({
      key: Buffer.from(version.key, 'latin1'),
      create_revision: String(version.createRevision),
      mod_revision: String(version.tombstone ? 0 : version.main),
      version: String(version.version),
      value: Buffer.from(version.value, 'latin1'),
      lease: version.lease.toString(),
    }).finish(),
  )
}
