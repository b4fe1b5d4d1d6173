// settings.ts: whether an item of one of the small buckets is what etcd keeps there.
import {
  authKey,
  clusterKey,
  decodeAlarm,
  decodeFlag,
  decodeLease,
  decodeMember,
  decodeRevision,
  decodeRole,
  decodeUint64,
  decodeUser,
  leaseKey,
  metaKey,
  parseMemberHex,
  removedMember,
} from '../storage/schema.js'

type Check = (key: Buffer, value: Buffer) => boolean

const meta: [Buffer, (value: Buffer) => boolean][] = [
  [metaKey.consistentIndex, (value) => decodeUint64(value) !== undefined],
  [metaKey.term, (value) => decodeUint64(value) !== undefined],
  [metaKey.scheduledCompactRevision, (value) => decodeRevision(value) !== undefined],
  [metaKey.finishedCompactRevision, (value) => decodeRevision(value) !== undefined],
  [metaKey.storageVersion, isVersion],
]

const checks: Readonly<Record<string, Check>> = {
  alarm: (key) => decodeAlarm(key) !== undefined,
  auth(key, value) {
    if (authKey.enabled.equals(key)) return decodeFlag(value) !== undefined
    return !authKey.revision.equals(key) || decodeUint64(value) !== undefined
  },
  authRoles: (key, value) => decodeRole(value)?.name.equals(key) === true,
  authUsers: (key, value) => decodeUser(value)?.name.equals(key) === true,
  cluster: (key, value) => !clusterKey.clusterVersion.equals(key) || isVersion(value),
  lease(key, value) {
    const lease = decodeLease(value)
    return lease !== undefined && leaseKey(lease.id).equals(key)
  },
  members(key, value) {
    const id = parseMemberHex(key.toString())
    return id !== undefined && decodeMember(value.toString())?.id === id
  },
  members_removed(key, value) {
    return parseMemberHex(key.toString()) !== undefined && removedMember.equals(value)
  },
  meta: (key, value) => meta.every(([name, isSound]) => !name.equals(key) || isSound(value)),
}

/** What is wrong with the item, or undefined. Keys and buckets nobody knows are left alone. */
export function settingProblem(bucket: string, key: Buffer, value: Buffer): string | undefined {
  const isSound = checks[bucket]
  if (isSound === undefined || isSound(key, value)) return undefined
  const shown = /^[ -~]+$/.test(key.toString('latin1')) ? key.toString() : key.toString('hex')
  return `${bucket} has an item that does not decode: ${shown}`
}

function isVersion(value: Buffer): boolean {
  return /^\d+\.\d+\.\d+$/.test(value.toString())
}
