// whole-state.ts: something of every kind that a cluster keeps, written through a connection, and
// all of it read back in a form that two servers can be compared by.
import { createHash } from 'node:crypto'
import type { DeepPartial, RequestOp } from '../../src/api/gen/rpc.js'
import type { Connection } from '../../src/connection/connect.js'

export const credentials = { name: 'root', password: 'secret' }

/** How many operations etcd takes in a transaction. */
const opsPerTxn = 100
/** Revisions that stay behind the compaction. */
const keptRevisions = 8

const keyOf = (index: number): Buffer => Buffer.from(`key/${String(index).padStart(6, '0')}`)

const put = (key: Buffer, value: string | Buffer, more = {}): DeepPartial<RequestOp> => ({
  request_put: { key, value: Buffer.from(value), ...more },
})

/** Keys, changes and deletions of them, leases, users who log in, a compaction, and more keys. */
export async function fillEverything(to: Connection, keyCount: number): Promise<void> {
  const { kv } = to
  const inTxns = async (operations: DeepPartial<RequestOp>[]): Promise<void> => {
    for (let at = 0; at < operations.length; at += opsPerTxn) {
      await kv.txn({ success: operations.slice(at, at + opsPerTxn) })
    }
  }
  const indexes = Array.from({ length: keyCount }, (_, at) => at)
  await inTxns(indexes.map((at) => put(keyOf(at), `value ${at} ${'x'.repeat(at % 40)}`)))
  await inTxns(indexes.filter((at) => at % 7 === 0).map((at) => put(keyOf(at), `again ${at}`)))
  await kv.deleteRange({ key: keyOf(keyCount >> 1), range_end: keyOf((keyCount >> 1) + 500) })
  await grantLeases(to)
  const { header } = await kv.put({ key: Buffer.from([0, 255, 10]), value: Buffer.from([0xff, 0]) })
  await kv.compact({ revision: String(Number(header?.revision) - keptRevisions), physical: true })
  await inTxns(
    indexes
      .filter((at) => at % 50 === 0)
      .map((at) => (at % 100 === 0 ? deletion(keyOf(at)) : put(keyOf(at), `later ${at}`))),
  )
  await kv.put({ key: Buffer.from('large'), value: Buffer.alloc(300_000, 'large') })
  await kv.deleteRange({ key: keyOf(0), range_end: keyOf(200) })
  await kv.put({ key: keyOf(3), value: Buffer.from('back') })
  await makeUsers(to)
}

const deletion = (key: Buffer): DeepPartial<RequestOp> => ({ request_delete_range: { key } })

async function grantLeases({ kv, lease }: Connection): Promise<void> {
  for (const [ID, TTL] of [
    ['4711', '6000'],
    ['-5', '7000'],
    ['42', '8000'],
  ] as const) {
    await lease.leaseGrant({ ID, TTL })
  }
  for (let at = 0; at < 5; at++) await kv.put({ key: keyOf(at + 1000), lease: '4711' })
  await kv.put({ key: Buffer.from('leased'), value: Buffer.from('v'), lease: '-5' })
}

/** After this, only users may do anything. */
async function makeUsers({ auth }: Connection): Promise<void> {
  await auth.roleAdd({ name: 'root' })
  await auth.roleAdd({ name: 'reader' })
  const perm = { permType: 0, key: Buffer.from('key/'), range_end: Buffer.from('key0') } as const
  await auth.roleGrantPermission({ name: 'reader', perm })
  await auth.userAdd(credentials)
  await auth.userGrantRole({ user: 'root', role: 'root' })
  await auth.userAdd({ name: 'guest', password: 'guest' })
  await auth.userGrantRole({ user: 'guest', role: 'reader' })
  await auth.authEnable()
}

export type WholeState = Awaited<ReturnType<typeof wholeState>>

export interface Depth {
  /** How many revisions are looked at, counted from the newest; all that are kept, by default. */
  revisionsMax?: number
  /** Content is compared by HashKV alone, not by what a read gives. */
  isHashed?: boolean
}

/** Of all that clients can see, what must not change when another server takes over. */
export async function wholeState(of: Connection, depth: Depth = {}) {
  const { revisionsMax = Number.POSITIVE_INFINITY, isHashed = false } = depth
  const { header, count } = await of.kv.range({ ...everything, count_only: true })
  const revision = Number(header?.revision)
  const { compact_revision } = await of.maintenance.hashKV({ revision: '0' })
  const pairs: Record<number, string> = {}
  const hashes: Record<number, number> = {}
  const oldest = Math.max(Number(compact_revision), revision - revisionsMax + 1)
  for (let at = oldest; at <= revision; at++) {
    if (!isHashed)
      pairs[at] = contentDigest(await of.rangeRaw({ ...everything, revision: String(at) }))
    // 3.4 does not tell the hash of the compaction itself.
    if (at === Number(compact_revision)) continue
    hashes[at] = (await of.maintenance.hashKV({ revision: String(at) })).hash
  }
  return {
    ...{ revision, count, compactRevision: Number(compact_revision), pairs, hashes },
    leases: await leasesOf(of),
    members: await membersOf(of),
    ...(await usersOf(of)),
  }
}

const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }

/** Of a RangeResponse without its header, which names the member and the term. */
function contentDigest(response: Buffer): string {
  let at = 1
  while ((response[at] ?? 0) >= 0x80) at++ // A header has less than 128 bytes.
  const content = response.subarray(at + 1 + (response[at] ?? 0))
  return createHash('sha256').update(content).digest('hex')
}

async function leasesOf({ lease }: Connection) {
  const { leases } = await lease.leaseLeases()
  const ids = leases.map(({ ID }) => ID).toSorted()
  return Promise.all(
    ids.map(async (ID) => {
      const { grantedTTL, keys } = await lease.leaseTimeToLive({ ID, keys: true })
      return { ID, grantedTTL, keys: keys.map(String).toSorted() }
    }),
  )
}

async function membersOf({ cluster }: Connection) {
  const { members } = await cluster.memberList({})
  return members.map(({ ID, name, isLearner }) => ({ ID, name, isLearner }))
}

async function usersOf({ auth }: Connection) {
  const { users } = await auth.userList()
  const { roles } = await auth.roleList()
  return {
    users: await Promise.all(
      users.map(async (name) => ({ name, roles: (await auth.userGet({ name })).roles })),
    ),
    roles: await Promise.all(
      roles.filter(isListed).map(async (role) => {
        return { role, perm: (await auth.roleGet({ role })).perm }
      }),
    ),
  }
}

/** What root may do needs no list: 3.4 shows none, later releases one that they make up. */
const isListed = (role: string): boolean => role !== 'root'
