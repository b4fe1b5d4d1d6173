// deviations.ts: where the replay does not give what was recorded, and why. A row that is not needed
// any more fails its test.

type Pair = 'tsctl with bundled' | 'tsctl with etcd' | 'etcdctl with bundled'

/** Groups that a pair cannot play yet. */
export const notReplayed: Partial<Record<string, Readonly<Record<string, string>>>> = {}

/** `group: case` and the reason. */
export const deviations: Partial<Record<string, Readonly<Record<string, string>>>> = {}

export type { Pair }
