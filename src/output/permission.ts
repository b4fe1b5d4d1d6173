// permission.ts: the key range of one permission, in the words of `role get`.
//
// A range is a key alone (no end), open towards the end of the key space (the end is one NUL
// byte), or half open. A range that covers exactly the keys with a prefix says so besides.

import { type Permission, Permission_Type } from '../api/gen/auth.js'
import type { AuthRoleGetResponse } from '../api/gen/rpc.js'
import type { ByteText } from './byte-text.js'

export const isOpenEnd = (rangeEnd: Uint8Array): boolean =>
  rangeEnd.length === 1 && rangeEnd[0] === 0

/** Adds `key`, `[key, end)` or `[key, <open ended>`, without the note on prefixes. */
export function addRange(out: ByteText, key: Uint8Array, rangeEnd: Uint8Array): ByteText {
  if (rangeEnd.length === 0) return out.bytes(key)
  out.text('[').bytes(key)
  return isOpenEnd(rangeEnd) ? out.text(', <open ended>') : out.text(', ').bytes(rangeEnd).text(')')
}

export function isPrefix({ key, range_end: rangeEnd }: Permission): boolean {
  return key.length > 0 && rangeEnd.length > 0 && prefixEnd(key).equals(rangeEnd)
}

/** The permissions of a role. root may do everything without having one stored. */
export function permissionsOf(role: string, response: AuthRoleGetResponse): readonly Permission[] {
  return role === 'root' && response.perm.length === 0 ? [everything] : response.perm
}

const openEnd = Buffer.of(0)

const everything: Permission = {
  permType: Permission_Type.READWRITE,
  key: Buffer.alloc(0),
  range_end: openEnd,
}

/** First key after all keys with the prefix: its last byte below 0xff goes up, the rest goes. */
function prefixEnd(prefix: Buffer): Buffer {
  const last = prefix.findLastIndex((byte) => byte < 0xff)
  if (last < 0) return openEnd
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last] = (end[last] ?? 0) + 1
  return end
}
