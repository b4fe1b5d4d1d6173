// cluster-version.ts: the version that all members of a cluster can speak. The leader asks every
// member for its own and lets the log say the smallest. A lone member agrees with itself: nothing
// is written to its log, so that any etcd can open its directory.
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { MemberRecord } from '../storage/schema.js'
import type { PeerVersion } from './peer/transport.js'

/** As etcd: how often the leader looks. */
const checkIntervalMs = 4_000
/** What a cluster of which some members never answered is taken for. */
const undecidedVersion = '3.0.0'

export interface VersionMonitorParts {
  clock: Clock
  log: Log
  isLeader(): boolean
  members(): readonly MemberRecord[]
  /** No newer one is agreed on. */
  newest: string
  agreed(): string | undefined
  /** Undefined when the member does not answer; for this member its own. */
  ask(member: MemberRecord): Promise<PeerVersion | undefined>
  propose(version: string): Promise<unknown>
}

export class VersionMonitor {
  readonly #parts: VersionMonitorParts
  readonly #timer: Timer
  #isAsking = false

  constructor(parts: VersionMonitorParts) {
    this.#parts = parts
    this.#timer = parts.clock.every(checkIntervalMs, () => this.check())
  }

  cancel(): void {
    this.#timer.cancel()
  }

  /** Looks now, unless a look is under way. */
  check(): void {
    const { isLeader, members, log } = this.#parts
    if (this.#isAsking || !isLeader() || members().length < 2) return
    this.#isAsking = true
    this.#decide()
      .catch((error: Error) =>
        log.warn('failed to update cluster version', { error: error.message }),
      )
      .finally(() => {
        this.#isAsking = false
      })
  }

  async #decide(): Promise<void> {
    const { members, newest, ask, agreed, propose, isLeader } = this.#parts
    const answers = await Promise.all(members().map(ask))
    const before = agreed()
    const decided = smallest([newest, ...answers.map((answer) => answer?.etcdserver)])
    const version = decided ?? (before === undefined ? undecidedVersion : undefined)
    if (version === undefined || !isLeader()) return
    if (before === undefined || compareVersions(before, version) < 0) await propose(version)
  }
}

/** Major and minor of the oldest, patch 0; undefined unless all are known. */
function smallest(versions: readonly (string | undefined)[]): string | undefined {
  const known = versions.filter((version) => version !== undefined)
  if (known.length < versions.length) return undefined
  const oldest = known.sort(compareVersions)[0]
  return oldest?.replace(/^(\d+\.\d+)\..*$/, '$1.0')
}

/** By major and minor; the patch does not matter to what members can say to each other. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA - majorB || minorA - minorB
}
