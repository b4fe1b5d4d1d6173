// permission-range.ts: which keys a user may read and write: the union of what its roles grant.
//
//     granted     [a, c)  [c, f)  [p]        p alone is [p, p\0)
//     kept as     [a, f)  [p, p\0)           intervals that touch or overlap are one
//
// An interval is permitted when one of these covers it: [b, e) is, [e, g) is not. Keys are latin1
// strings, which compare like bytes.
import { type Permission, Permission_Type as Type } from '../api/gen/auth.js'

export type Access = 'read' | 'write'

interface Interval {
  readonly begin: string
  /** Exclusive. */
  readonly end: string
}

/** Above every key: no latin1 character is as great. */
const openEnd = '\u0100'

export class PermittedKeys {
  readonly #intervals: readonly Interval[]
  /** The same by ascending begin, without overlaps. */
  readonly #union: readonly Interval[]

  constructor(intervals: readonly Interval[]) {
    this.#intervals = intervals
    this.#union = union(intervals)
  }

  /** An empty `end` asks for a single key; one NUL byte for everything from `key` on. */
  cover(key: Buffer, end: Buffer): boolean {
    const asked = interval(key, end)
    if (asked.begin >= asked.end) return this.#coverNothing(asked)
    const candidate = lastAtOrBefore(this.#union, asked.begin)
    return candidate !== undefined && asked.end <= candidate.end
  }

  /** A range whose end comes before its begin has no keys; etcd asks one grant to hold both. */
  #coverNothing({ begin, end }: Interval): boolean {
    return this.#intervals.some((each) => each.begin < end && begin < each.end)
  }
}

export function permittedKeys(
  permissions: readonly Permission[],
): Readonly<Record<Access, PermittedKeys>> {
  const of = (wanted: Type) => {
    const granted = permissions.filter(({ permType, key }) => {
      return (permType === wanted || permType === Type.READWRITE) && key.length > 0
    })
    return new PermittedKeys(granted.map(({ key, range_end }) => interval(key, range_end)))
  }
  return { read: of(Type.READ), write: of(Type.WRITE) }
}

/** Whether a role may be given these keys: at least one, however many. */
export function isGrantable(key: Buffer, end: Buffer): boolean {
  if (key.length === 0) return false
  return end.length === 0 || isOpen(end) || Buffer.compare(key, end) < 0
}

function interval(key: Buffer, end: Buffer): Interval {
  const begin = key.toString('latin1')
  if (end.length === 0) return { begin, end: `${begin}\0` }
  return { begin, end: isOpen(end) ? openEnd : end.toString('latin1') }
}

function isOpen(end: Buffer): boolean {
  return end.length === 1 && end[0] === 0
}

function union(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals
    .filter(({ begin, end }) => begin < end)
    .sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0))
  const joined: { begin: string; end: string }[] = []
  for (const { begin, end } of sorted) {
    const last = joined.at(-1)
    if (last === undefined || last.end < begin) joined.push({ begin, end })
    else if (last.end < end) last.end = end
  }
  return joined
}

/** Of intervals by ascending begin. */
function lastAtOrBefore(intervals: readonly Interval[], key: string): Interval | undefined {
  let low = 0
  let high = intervals.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const found = intervals[middle]
    if (found !== undefined && found.begin <= key) low = middle + 1
    else high = middle
  }
  return intervals[low - 1]
}
