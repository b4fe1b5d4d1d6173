// revision.ts: the two numbers that name one change. `main` counts the transactions that changed
// something (an empty store is at 1, the first write makes 2); `sub` counts the changes within one
// transaction from 0. Records, events and the key bucket all stand in this order.

export interface Revision {
  readonly main: number
  readonly sub: number
}

/** Below zero: a is the older one; zero: the same change. */
export function compareRevisions(a: Revision, b: Revision): number {
  return a.main - b.main || a.sub - b.sub
}

/** Index of the first element of at least revision `main`, in a list in revision order. */
export function firstAtLeast(list: readonly Revision[], main: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as Revision).main < main)
      low = middle + 1 // middle < high <= length
    else high = middle
  }
  return low
}
