// request-id.ts: ids for proposals and for leases that the server names. Unique across members
// and restarts without coordination, as etcd makes them:
//
//     | low 16 bits of the member id | 40 bits of start time in ms | 8 bits counter |
//
// The counter carries into the time, so a member may use far more than 256 ids a millisecond as
// long as it does not outrun the clock across a restart.

const low16 = 0xffffn
const low40 = 0xff_ffff_ffffn
const positive = 0x7fff_ffff_ffff_ffffn

export class RequestIds {
  readonly #prefix: bigint
  #suffix: bigint

  /** `startMs`: milliseconds since 1970 at which this member started. */
  constructor(memberId: bigint, startMs: number) {
    this.#prefix = (memberId & low16) << 48n
    this.#suffix = (BigInt(startMs) & low40) << 8n
  }

  next(): bigint {
    this.#suffix = (this.#suffix + 1n) & 0xffff_ffff_ffffn
    return this.#prefix | this.#suffix
  }

  /** A lease id: positive, so that it prints without a sign, and never 0. */
  nextLease(): bigint {
    return this.next() & positive
  }
}
