// v2-request.ts: requests of the v2 API in the log. etcd up to 3.5 publishes a member and the
// cluster's version through it, so a directory that such an etcd wrote has two kinds of entries.
// The older one is a bare message Request{1 ID, 2 Method, 3 Path, 4 Val, ...} with nothing that
// names its kind. But each request of the v3 API has a header, field 100, which it never has.
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { parseJson } from '../storage/exact-json.js'
import { parseMemberHex } from '../storage/schema.js'
import type { Membership } from './membership.js'

export interface V2Request {
  method: string
  path: string
  value: string
}

const lengthDelimited = 2
const headerField = 100

/** The v2 request that an entry holds, or undefined for one of the v3 API. */
export function decodeV2Request(data: Buffer): V2Request | undefined {
  const texts: string[] = []
  try {
    const reader = new BinaryReader(data)
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag()
      if (field === headerField) return undefined
      if (wireType === lengthDelimited && field >= 2 && field <= 4) texts[field] = reader.string()
      else reader.skip(wireType)
    }
  } catch {
    return undefined
  }
  const [, , method = '', path = '', value = ''] = texts
  return /^[A-Z]+$/.test(method) ? { method, path, value } : undefined
}

/**
 * Members and version live below /0 of the v2 store. All else there was data of the v2 API, which
 * does not belong to a cluster of the v3 API.
 */
export function applyV2Request({ method, path, value }: V2Request, membership: Membership): void {
  if (method !== 'PUT') return
  if (path === '/0/version') membership.agreedVersion = value
  const [, hex] = /^\/0\/members\/([0-9a-f]+)\/attributes$/.exec(path) ?? []
  const id = hex === undefined ? undefined : parseMemberHex(hex)
  const attributes = parseJson(value)
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
