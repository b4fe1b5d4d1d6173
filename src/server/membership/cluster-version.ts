// cluster-version.ts: the version that all members of a cluster can speak. The leader asks every
// member for its own and lets the log say the smallest. A lone member agrees with itself: nothing
// is written to its log, so that any etcd can open its directory; only a downgrade is, which
// somebody has asked for.
//
// While a downgrade is enabled the agreed version goes one minor version down, to what the members
// to come can speak; when it is cancelled, up again. Members of the older version that have
// replaced all others end it themselves, as soon as one of them leads.
import type { Clock, Timer } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { DowngradeRecord, MemberRecord } from '../../storage/schema.js'
import type { PeerVersion } from '../peer/transport.js'

/** As etcd: how often the leader looks. */
const checkIntervalMs = 4_000
/**
 * What a cluster is taken for that has agreed on nothing, because some members never answered:
 * whoever speaks v3 may join.
 */
export const undecidedVersion = '3.0.0'

export interface VersionMonitorParts {
  clock: Clock
  log: Log
  isLeader(): boolean
  members(): readonly MemberRecord[]
  /** No newer one is agreed on. */
  newest: string
  agreed(): string | undefined
  /** Undefined: there never was one. */
  downgrade(): DowngradeRecord | undefined
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
    const { isLeader, log } = this.#parts
    if (this.#isAsking || !isLeader() || this.#isSettled()) return
    this.#isAsking = true
    this.#decide()
      .catch((error: Error) =>
        log.warn('failed to update cluster version', { error: error.message }),
      )
      .finally(() => {
        this.#isAsking = false
      })
  }

  /** A lone member with which nobody has to agree. */
  #isSettled(): boolean {
    const { members, agreed, downgrade } = this.#parts
    if (members().length > 1) return false
    const asked = downgrade()
    // One that was cancelled leaves a version in the log, which has to go up again.
    return asked === undefined || (!asked.enabled && agreed() === undefined)
  }

  async #decide(): Promise<void> {
    const { members, newest, ask, agreed, downgrade, propose, isLeader } = this.#parts
    const answers = await Promise.all(members().map(ask))
    const decided = smallest([newest, ...answers.map((answer) => answer?.etcdserver)])
    const isAlone = members().length < 2
    const next = nextVersion({
      agreed: agreed() ?? (isAlone ? newest : undefined),
      smallest: decided,
      downgrade: downgrade(),
    })
    if (next !== undefined && isLeader()) await propose(next)
  }
}

/** What the members should agree on next; undefined: on nothing else than now. */
export function nextVersion({
  agreed,
  smallest: decided,
  downgrade,
}: {
  agreed: string | undefined
  /** Of all members; undefined unless all are known. */
  smallest: string | undefined
  downgrade: DowngradeRecord | undefined
}): string | undefined {
  if (agreed === undefined) return decided ?? undecidedVersion
  if (decided === undefined) return undefined
  if (downgrade?.enabled !== true) {
    return compareVersions(agreed, decided) < 0 ? decided : undefined
  }
  // Once agreed on, it stays: a member of the older version is not one that could go down further.
  const { targetVersion: target } = downgrade
  return target === oneMinorDown(agreed) && target === oneMinorDown(decided) ? target : undefined
}

/** 3.7.1 → 3.6.0 */
export function oneMinorDown(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return `${major}.${minor - 1}.0`
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
