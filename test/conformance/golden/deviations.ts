// deviations.ts: where the replay does not give what was recorded, and why; each is in
// docs/compatibility.md too. A row that is not needed any more fails its test.

export type Pair = `${'tsctl' | 'etcdctl'} with ${'bundled' | 'etcd'}`

type Table = Readonly<Record<string, string>>

/** tsctl does otherwise on purpose, whatever the server. */
const ofTsctl: Table = {
  'misc: misc/bad-env-value': 'a variable that cannot be read is an error',
  'txn: txn/compare-lease': 'compares of leases work',
  'snapshot: snapshot/status-garbage': 'a damaged file is told with place, found and expected',
}

/** `group: case` and the reason. */
export const deviations: Readonly<Record<Pair, Table>> = {
  'tsctl with bundled': ofTsctl,
  'tsctl with etcd': ofTsctl,
  'etcdctl with bundled': {},
  'etcdctl with etcd': {},
}
