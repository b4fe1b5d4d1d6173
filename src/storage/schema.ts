// schema.ts: what etcd's ten buckets hold, key by key: typed values to bytes and back. An encoder
// asserts its input. A decoder returns undefined for bytes that are not of the shape: whoever read
// them knows the file and the offset to complain about.
//
//     key      i64 BE main, '_', i64 BE sub (, 't' for a deletion)     mvccpb.KeyValue
//     lease    i64 BE id                                                leasepb.Lease
//     alarm    AlarmMember                                              nothing
//     members  id in hexadecimal, no leading zeros                      JSON
import assert from 'node:assert'
import { Role, User } from '../api/gen/auth.js'
import { Lease } from '../api/gen/lease.js'
import { AlarmMember } from '../api/gen/rpc.js'
import { type Json, jsonString, parseJson } from './exact-json.js'

/** All buckets, in the order in which the file keeps them. */
export const bucketNames = [
  'alarm',
  'auth',
  'authRoles',
  'authUsers',
  'cluster',
  'key',
  'lease',
  'members',
  'members_removed',
  'meta',
] as const

export type BucketName = (typeof bucketNames)[number]

/** A key of the `key` bucket. main >= 0, sub >= 0, both safe integers. */
export interface RevisionKey {
  main: number
  sub: number
  tombstone: boolean
}

export const revisionKeySize = 17
export const tombstoneKeySize = 18
const separator = 0x5f
const tombstoneMark = 0x74

export function encodeRevision(main: number, sub: number, tombstone = false): Buffer {
  assert(Number.isSafeInteger(main) && main >= 0, `main revision ${main}`)
  assert(Number.isSafeInteger(sub) && sub >= 0, `sub revision ${sub}`)
  const key = Buffer.allocUnsafe(tombstone ? tombstoneKeySize : revisionKeySize)
  key.writeUInt32BE(Math.floor(main / 2 ** 32), 0)
  key.writeUInt32BE(main >>> 0, 4)
  key[8] = separator
  key.writeUInt32BE(Math.floor(sub / 2 ** 32), 9)
  key.writeUInt32BE(sub >>> 0, 13)
  if (tombstone) key[17] = tombstoneMark
  return key
}

/** Reads the key that stands in `bytes` from `start` to `end`. */
export function decodeRevision(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): RevisionKey | undefined {
  const tombstone = end - start === tombstoneKeySize
  if (!tombstone && end - start !== revisionKeySize) return undefined
  if (bytes[start + 8] !== separator) return undefined
  if (tombstone && bytes[start + 17] !== tombstoneMark) return undefined
  const main = safeUint64(bytes, start)
  const sub = safeUint64(bytes, start + 9)
  return main === undefined || sub === undefined ? undefined : { main, sub, tombstone }
}

/** Keys of the `meta` bucket. */
export const metaKey = {
  consistentIndex: Buffer.from('consistent_index'),
  term: Buffer.from('term'),
  confState: Buffer.from('confState'),
  scheduledCompactRevision: Buffer.from('scheduledCompactRev'),
  finishedCompactRevision: Buffer.from('finishedCompactRev'),
  storageVersion: Buffer.from('storageVersion'),
} as const

/** Keys of the `cluster` bucket. */
export const clusterKey = {
  clusterVersion: Buffer.from('clusterVersion'),
  downgrade: Buffer.from('downgrade'),
} as const

/** Whether members one minor version older are to take over, and which version that is. */
export interface DowngradeRecord {
  enabled: boolean
  /** 3.6.0; empty when none is enabled. */
  targetVersion: string
}

/** `{"target-version":"3.6.0","enabled":true}`, fields in this order. */
export function encodeDowngrade({ enabled, targetVersion }: DowngradeRecord): Buffer {
  return Buffer.from(JSON.stringify({ 'target-version': targetVersion, enabled }))
}

/** Undefined for what is none. */
export function decodeDowngrade(value: Buffer): DowngradeRecord | undefined {
  const [, targetVersion, enabled] =
    /^\{"target-version":"([\d.]*)","enabled":(true|false)\}$/.exec(value.toString()) ?? []
  if (targetVersion === undefined) return undefined
  return { enabled: enabled === 'true', targetVersion }
}

/** Keys of the `auth` bucket. */
export const authKey = {
  enabled: Buffer.from('authEnabled'),
  revision: Buffer.from('authRevision'),
} as const

/** u64 BE: consistent_index, term, authRevision. */
export function encodeUint64(value: number): Buffer {
  assert(Number.isSafeInteger(value) && value >= 0, `value ${value}`)
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), 0)
  bytes.writeUInt32BE(value >>> 0, 4)
  return bytes
}

export function decodeUint64(value: Uint8Array): number | undefined {
  return value.length === 8 ? safeUint64(value, 0) : undefined
}

export function encodeFlag(on: boolean): Buffer {
  return Buffer.from([on ? 1 : 0])
}

export function decodeFlag(value: Uint8Array): boolean | undefined {
  return value.length === 1 ? value[0] === 1 : undefined
}

/** A lease as stored: no absolute time, so it starts anew with its full TTL, or what remained. */
export interface LeaseRecord {
  id: bigint
  ttlSeconds: number
  /** Seconds left at the last checkpoint; 0: never checkpointed. */
  remainingTtlSeconds: number
}

export function leaseKey(id: bigint): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeBigInt64BE(id)
  return key
}

export function encodeLease(lease: LeaseRecord): Buffer {
  const { id, ttlSeconds, remainingTtlSeconds } = lease
  const record = {
    ID: id.toString(),
    TTL: ttlSeconds.toString(),
    RemainingTTL: remainingTtlSeconds.toString(),
  }
  return asBuffer(Lease.encode(record).finish())
}

export function decodeLease(value: Buffer): LeaseRecord | undefined {
  const record = decoded(() => Lease.decode(value))
  if (record === undefined) return undefined
  const ttlSeconds = Number(record.TTL)
  const remainingTtlSeconds = Number(record.RemainingTTL)
  if (!Number.isSafeInteger(ttlSeconds) || !Number.isSafeInteger(remainingTtlSeconds)) {
    return undefined
  }
  return { id: BigInt(record.ID), ttlSeconds, remainingTtlSeconds }
}

/** A raised alarm. The whole record is the key; its value is empty. */
export interface AlarmRecord {
  memberId: bigint
  alarm: AlarmMember['alarm']
}

export function alarmKey({ memberId, alarm }: AlarmRecord): Buffer {
  return asBuffer(AlarmMember.encode({ memberID: memberId.toString(), alarm }).finish())
}

export function decodeAlarm(key: Buffer): AlarmRecord | undefined {
  const record = decoded(() => AlarmMember.decode(key))
  return record && { memberId: BigInt(record.memberID), alarm: record.alarm }
}

export function encodeUser(user: User): Buffer {
  return asBuffer(User.encode(user).finish())
}

export function decodeUser(value: Buffer): User | undefined {
  return decoded(() => User.decode(value))
}

export function encodeRole(role: Role): Buffer {
  return asBuffer(Role.encode(role).finish())
}

export function decodeRole(value: Buffer): Role | undefined {
  return decoded(() => Role.decode(value))
}

/** A member of the cluster, as buckets, log entries and .snap files describe it. */
export interface MemberRecord {
  id: bigint
  peerUrls: readonly string[]
  isLearner: boolean
  /** Empty until the member has started once. */
  name: string
  clientUrls: readonly string[]
}

/** Value in `members_removed`; its key is that of the member. */
export const removedMember: Buffer = Buffer.from('removed')

/** A member id as keys and paths spell it: lower-case hexadecimal without leading zeros. */
export function memberHex(id: bigint): string {
  return id.toString(16)
}

export function parseMemberHex(text: string): bigint | undefined {
  return /^(0|[1-9a-f][0-9a-f]{0,15})$/.test(text) ? BigInt(`0x${text}`) : undefined
}

/** The member as JSON text, fields in Go's order; `promote` marks a learner's promotion. */
export function encodeMember(member: MemberRecord, options?: { promote: boolean }): string {
  const fields = [`"id":${member.id}`, `"peerURLs":${stringList(member.peerUrls)}`]
  if (member.isLearner) fields.push('"isLearner":true')
  if (member.name !== '') fields.push(`"name":${jsonString(member.name)}`)
  if (member.clientUrls.length > 0) fields.push(`"clientURLs":${stringList(member.clientUrls)}`)
  if (options?.promote) fields.push('"isPromote":true')
  return `{${fields.join(',')}}`
}

export function decodeMember(json: string): (MemberRecord & { promote: boolean }) | undefined {
  return memberFrom(parseJson(json))
}

/** The member that a JSON object describes, such as one in a list. */
export function memberFrom(
  fields: Json | undefined,
): (MemberRecord & { promote: boolean }) | undefined {
  if (!(fields instanceof Map)) return undefined
  const id = fields.get('id')
  const peerUrls = urls(fields.get('peerURLs'))
  const clientUrls = urls(fields.get('clientURLs'))
  const name = fields.get('name') ?? ''
  const isLearner = fields.get('isLearner') ?? false
  const promote = fields.get('isPromote') ?? false
  if (typeof id !== 'bigint' || id < 0n || id >= 2n ** 64n) return undefined
  if (peerUrls === undefined || clientUrls === undefined || typeof name !== 'string') {
    return undefined
  }
  if (typeof isLearner !== 'boolean' || typeof promote !== 'boolean') return undefined
  return { id, peerUrls, isLearner, name, clientUrls, promote }
}

function stringList(texts: readonly string[]): string {
  return `[${texts.map(jsonString).join(',')}]`
}

/** Go writes a list that was never set as null. */
function urls(value: Json | undefined): string[] | undefined {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return undefined
  const texts = value.filter((url) => typeof url === 'string')
  return texts.length === value.length ? texts : undefined
}

/** Eight bytes BE from `at` on, or undefined when they exceed a safe integer. */
function safeUint64(bytes: Uint8Array, at: number): number | undefined {
  const value = uint32(bytes, at) * 2 ** 32 + uint32(bytes, at + 4)
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined
}

function uint32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
  return a * 2 ** 24 + ((b << 16) | (c << 8) | d)
}

/** The codecs throw on malformed bytes, whatever the reason. */
function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
