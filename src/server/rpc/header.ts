// header.ts: the ResponseHeader of every answer, as bytes and as a message. The two ids never
// change, so their bytes are made once.
import { ResponseHeader } from '../../api/gen/rpc.js'
import { numberSize, writeNumber } from './wire.js'

export class Headers {
  readonly #ids: Uint8Array
  readonly #clusterId: string
  readonly #memberId: string
  readonly #term: () => number
  /** What was encoded last: one write is often told to many watchers. */
  #last = { revision: -1, term: -1, bytes: Buffer.alloc(0) }

  /** `term`: the raft term of this member now. */
  constructor(ids: { clusterId: bigint; memberId: bigint }, term: () => number) {
    this.#clusterId = ids.clusterId.toString()
    this.#memberId = ids.memberId.toString()
    this.#term = term
    this.#ids = ResponseHeader.encode({
      cluster_id: this.#clusterId,
      member_id: this.#memberId,
      revision: '0',
      raft_term: '0',
    }).finish()
  }

  /** Encoded header, to be copied and not changed; `revision` 0 leaves the revision out. */
  encoded(revision: number): Buffer {
    const term = this.#term()
    const last = this.#last
    if (last.revision === revision && last.term === term) return last.bytes
    const out = Buffer.allocUnsafe(this.#ids.length + numberSize(revision) + numberSize(term))
    out.set(this.#ids)
    writeNumber(out, writeNumber(out, this.#ids.length, 0x18, revision), 0x20, term)
    this.#last = { revision, term, bytes: out }
    return out
  }

  message(revision: number): ResponseHeader {
    return {
      cluster_id: this.#clusterId,
      member_id: this.#memberId,
      revision: String(revision),
      raft_term: String(this.#term()),
    }
  }
}

/** Header of one operation inside a Txn answer: only the revision. */
export function operationHeader(revision: number): Buffer {
  const out = Buffer.allocUnsafe(numberSize(revision))
  writeNumber(out, 0, 0x18, revision)
  return out
}
