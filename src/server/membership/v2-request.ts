// v2-request.ts: requests of the v2 API in the log. etcd up to 3.5 publishes a member and the
// cluster's version through it, so a directory that such an etcd wrote has entries of two kinds:
//
//     v2 Request            08 ID 12 Method 1a Path ...   always all of its fields, in this order
//     InternalRaftRequest   one field of number 3 or above, and a header in field 100
//
// A v3 request may have an id in field 1, but never a field 2.
import { Request } from '../../api/gen/v2.js'
import { parseJson } from '../../storage/exact-json.js'
import { parseMemberHex } from '../../storage/schema.js'
import type { Membership } from './membership.js'

/** Where the v2 store keeps the version of the cluster. */
export const versionPath = '/0/version'

const idTag = 0x08
const methodTag = 0x12

/** The v2 request that an entry holds, or undefined for one of the v3 API. */
export function decodeV2Request(data: Buffer): Request | undefined {
  if (data[0] !== idTag) return undefined
  let at = 1
  while ((data[at] ?? 0) >= 0x80) at++
  return data[at + 1] === methodTag ? Request.decode(data) : undefined
}

/** The same by our hand. etcd writes all fields, but reads absent ones as empty. */
export function encodeV2Request(id: bigint, path: string, value: string): Buffer {
  const request = { ID: id.toString(), Method: 'PUT', Path: path, Val: value }
  return Buffer.from(Request.encode(request).finish())
}

/**
 * Members and version live below /0 of the v2 store. All else there was data of the v2 API, which
 * does not belong to a cluster of the v3 API.
 */
export function applyV2Request({ Method, Path, Val }: Request, membership: Membership): void {
  if (Method !== 'PUT') return
  if (Path === versionPath) membership.agreedVersion = Val
  const [, hex] = /^\/0\/members\/([0-9a-f]+)\/attributes$/.exec(Path) ?? []
  const id = hex === undefined ? undefined : parseMemberHex(hex)
  const attributes = parseJson(Val)
  if (id === undefined || !(attributes instanceof Map)) return
  const name = attributes.get('name')
  const clientUrls = attributes.get('clientURLs')
  membership.publish(id, {
    name: typeof name === 'string' ? name : '',
    clientUrls: Array.isArray(clientUrls)
      ? clientUrls.filter((url) => typeof url === 'string')
      : [],
  })
}
