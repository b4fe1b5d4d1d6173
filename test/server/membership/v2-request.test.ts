// What etcd 3.4 writes into its log to publish a member, byte by byte, and what is another kind.
import { describe, expect, test } from 'vitest'
import { InternalRaftRequest } from '../../../src/api/gen/raft_internal.js'
import { Membership } from '../../../src/server/membership/membership.js'
import { applyV2Request, decodeV2Request } from '../../../src/server/membership/v2-request.js'

/** A Request as etcd's encoder writes it: all scalars, also those that are zero. */
function request(method: string, path: string, value: string): Buffer {
  const text = (tag: number, content: string) => [tag, content.length, ...Buffer.from(content)]
  return Buffer.from([
    ...[0x08, 0x82, 0xf8, 0xe9, 0xb0, 0xa4, 0xa7, 0xd2, 0xa6, 0x69],
    ...[...text(0x12, method), ...text(0x1a, path), ...text(0x22, value)],
    ...[0x28, 0, 0x32, 0, 0x38, 0, 0x48, 0, 0x50, 0, 0x58, 0, 0x60, 0, 0x68, 0, 0x70, 0, 0x78, 0],
    ...[0x80, 0x01, 0],
  ])
}

const id = 0x8e9e05c52164694dn
const member = { id, name: '', peerUrls: ['http://a:1'], clientUrls: [], isLearner: false }

describe('a v2 request in the log', () => {
  test('publishes name and client URLs of a member', () => {
    const membership = new Membership(1n)
    membership.restore([member], [])
    const value = '{"name":"m1","clientURLs":["http://b:2","http://c:3"]}'
    const data = request('PUT', '/0/members/8e9e05c52164694d/attributes', value)
    const decoded = decodeV2Request(data)
    expect(decoded).toMatchObject({ Method: 'PUT', Val: value })
    if (decoded !== undefined) applyV2Request(decoded, membership)
    const clientUrls = ['http://b:2', 'http://c:3']
    expect(membership.list()).toEqual([{ ...member, name: 'm1', clientUrls }])
  })

  test.each([
    ['PUT', '/0/version', '3.4.0', '3.4.0'],
    ['QGET', '/0/version', '3.4.0', undefined],
    ['PUT', '/1/version', '3.4.0', undefined],
    ['PUT', '/0/members/8e9e05c52164694d/attributes', 'no JSON', undefined],
    ['PUT', '/0/members/1/attributes', '{"name":"stranger"}', undefined],
  ])('%s %s %s sets the version %s and no member', (method, path, value, version) => {
    const membership = new Membership(1n)
    membership.restore([member], [])
    const decoded = decodeV2Request(request(method, path, value))
    if (decoded !== undefined) applyV2Request(decoded, membership)
    expect(membership.agreedVersion).toBe(version)
    expect(membership.list()).toEqual([member])
  })

  test.each([
    ['a put', { put: { key: Buffer.from('k') } }],
    ['a put of etcd 3.0 with an id of its own', { ID: '300', put: { key: Buffer.from('PUT') } }],
    ['a transaction', { txn: {} }],
    ['a lease', { lease_grant: { ID: '18', TTL: '18' } }],
  ])('is not seen in %s', (_what, content) => {
    const header = { ID: '1', username: 'PUT', auth_revision: '1' }
    const request = InternalRaftRequest.fromPartial({ header, ...content })
    const data = Buffer.from(InternalRaftRequest.encode(request).finish())
    expect(decodeV2Request(data)).toBeUndefined()
  })
})
