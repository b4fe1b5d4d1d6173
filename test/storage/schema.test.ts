// schema.test.ts: encodings against bytes that a real etcd wrote, and ids that no JavaScript number
// can hold.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemFiles } from '../../src/platform/files.js'
import { openDatabase } from '../../src/storage/bbolt/reader.js'
import {
  alarmKey,
  authKey,
  bucketNames,
  clusterKey,
  decodeAlarm,
  decodeFlag,
  decodeLease,
  decodeMember,
  decodeRevision,
  decodeRole,
  decodeUint64,
  decodeUser,
  encodeFlag,
  encodeLease,
  encodeMember,
  encodeRevision,
  encodeRole,
  encodeUint64,
  encodeUser,
  leaseKey,
  memberHex,
  metaKey,
  parseMemberHex,
} from '../../src/storage/schema.js'

test('a revision key is 17 bytes, that of a deletion 18', () => {
  expect(encodeRevision(2, 0).toString('hex')).toBe('0000000000000002' + '5f' + '0000000000000000')
  expect(encodeRevision(2 ** 40 + 5, 3, true).toString('hex')).toBe(
    '0000010000000005' + '5f' + '0000000000000003' + '74',
  )
})

test('revision keys read back and their order is that of the revisions', () => {
  const revision = fc.tuple(fc.maxSafeNat(), fc.nat(), fc.boolean())
  fc.assert(
    fc.property(revision, revision, ([main, sub, tombstone], [otherMain, otherSub]) => {
      const key = encodeRevision(main, sub, tombstone)
      expect(decodeRevision(key)).toEqual({ main, sub, tombstone })
      expect(decodeRevision(Buffer.concat([Buffer.alloc(3), key, key]), 3, 3 + key.length)).toEqual(
        {
          ...{ main, sub, tombstone },
        },
      )
      const order = main === otherMain ? sub - otherSub : main - otherMain
      const bytes = Buffer.compare(encodeRevision(main, sub), encodeRevision(otherMain, otherSub))
      expect(bytes).toBe(Math.sign(order))
    }),
  )
})

test('what is no revision key does not decode', () => {
  const key = encodeRevision(5, 1, true)
  expect(decodeRevision(Buffer.alloc(0))).toBeUndefined()
  expect(decodeRevision(key.subarray(0, 16))).toBeUndefined()
  expect(decodeRevision(Buffer.concat([key, key]))).toBeUndefined()
  for (const at of [0, 8, 9, 17]) {
    const damaged = Buffer.from(key)
    damaged.writeUInt8(0xee, at)
    expect(decodeRevision(damaged)).toBeUndefined()
  }
})

test('revisions that are no safe integers are a programming error', () => {
  for (const main of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => encodeRevision(main, 0)).toThrow()
  expect(() => encodeRevision(0, -1)).toThrow()
})

test('numbers of eight bytes and flags of one read back', () => {
  expect(encodeUint64(2 ** 33 + 1).toString('hex')).toBe('0000000200000001')
  for (const value of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    expect(decodeUint64(encodeUint64(value))).toBe(value)
  }
  expect(decodeUint64(Buffer.alloc(8, 0xff))).toBeUndefined()
  expect(decodeUint64(Buffer.alloc(7))).toBeUndefined()
  expect([decodeFlag(encodeFlag(true)), decodeFlag(encodeFlag(false))]).toEqual([true, false])
  expect(decodeFlag(Buffer.alloc(0))).toBeUndefined()
})

test('an alarm is all in its key', () => {
  const alarm = { memberId: 2n ** 64n - 1n, alarm: 1 as const }
  expect(decodeAlarm(alarmKey(alarm))).toEqual(alarm)
  const recorded = Buffer.from('08e8e9fee582bfe2883b1001', 'hex')
  const decoded = decodeAlarm(recorded)
  expect(decoded?.alarm).toBe(1)
  expect(decoded && alarmKey(decoded).equals(recorded)).toBe(true)
  expect(decodeAlarm(Buffer.from('ff', 'hex'))).toBeUndefined()
})

test('a lease id keeps all 64 bits, also as a negative number', () => {
  for (const id of [1n, 2n ** 63n - 1n, -(2n ** 63n), 0x4e94a20c27400305n]) {
    const lease = { id, ttlSeconds: 60, remainingTtlSeconds: 0 }
    expect(decodeLease(encodeLease(lease))).toEqual(lease)
    expect(leaseKey(id).readBigInt64BE()).toBe(id)
  }
  expect(decodeLease(Buffer.from('0a', 'hex'))).toBeUndefined()
})

const member = {
  id: 10276657743932975437n,
  peerUrls: ['http://localhost:2380'],
  isLearner: false,
  name: 'default',
  clientUrls: [],
}

const memberCases: [what: string, json: string, change: Partial<typeof member>][] = [
  [
    'a started member',
    '{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default"}',
    {},
  ],
  [
    'a learner that never started',
    '{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"isLearner":true}',
    { isLearner: true, name: '' },
  ],
  [
    'a name that Go escapes',
    '{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"\\u003ca\\u0026\\"b\\u003e","clientURLs":["http://x:1","http://y:2"]}',
    { name: '<a&"b>', clientUrls: ['http://x:1', 'http://y:2'] as never[] },
  ],
]

for (const [what, json, change] of memberCases) {
  test(`${what} is written as Go writes it and read without loss`, () => {
    const expected = { ...member, ...change }
    expect(encodeMember(expected)).toBe(json)
    expect(decodeMember(json)).toEqual({ ...expected, promote: false })
  })
}

test('a promotion is marked in the JSON', () => {
  const json = encodeMember(member, { promote: true })
  expect(json).toContain('"name":"default","isPromote":true}')
  expect(decodeMember(json)?.promote).toBe(true)
})

test('JSON that is no member does not decode', () => {
  for (const json of [
    ...['', '{}', '[]', 'null', '{"id":"1"}', '{"id":1.5}', '{"id":-1}', '{"id":1,"name":2}'],
    ...['{"id":18446744073709551616}', '{"id":1,"peerURLs":[1]}', '{"id":1}}', '{"id":1,}'],
    ...['{"id":1 "name":"x"}', '{"id":01}', `${'['.repeat(10000)}`, '{"id":1,"name":"a\n"}'],
  ]) {
    expect(decodeMember(json)).toBeUndefined()
  }
  expect(decodeMember(' {"id" : 1 , "peerURLs" : null, "new":{"a":[true,null,1e3]}} ')).toEqual({
    ...{ id: 1n, peerUrls: [], clientUrls: [], name: '', isLearner: false, promote: false },
  })
})

test('member ids are hexadecimal without leading zeros', () => {
  expect(memberHex(0xb39767d7bb8680en)).toBe('b39767d7bb8680e')
  expect(parseMemberHex('b39767d7bb8680e')).toBe(0xb39767d7bb8680en)
  for (const text of ['', '0b', 'B3', 'g', '1'.repeat(17)])
    expect(parseMemberHex(text)).toBeUndefined()
})

test('every item that a real etcd wrote is written the same here', async () => {
  const file = 'fixtures/disk/bbolt/etcd-3.4.23.snapshot'
  const database = await openDatabase(file, { files: systemFiles })
  const again: Record<string, (key: Buffer, value: Buffer) => [Buffer, Buffer] | undefined> = {
    alarm: (key) => [alarmKey(decodeAlarm(key) ?? { memberId: 0n, alarm: 0 }), Buffer.alloc(0)],
    auth: (key, value) => {
      if (key.equals(authKey.enabled)) return [key, encodeFlag(decodeFlag(value) === true)]
      return [authKey.revision, encodeUint64(decodeUint64(value) ?? 0)]
    },
    authRoles(_, value) {
      const role = decodeRole(value)
      return role && [role.name, encodeRole(role)]
    },
    authUsers(_, value) {
      const user = decodeUser(value)
      return user && [user.name, encodeUser(user)]
    },
    cluster: (_, value) => [clusterKey.clusterVersion, value],
    key(key, value) {
      const revision = decodeRevision(key)
      return revision && [encodeRevision(revision.main, revision.sub, revision.tombstone), value]
    },
    lease(_, value) {
      const lease = decodeLease(value)
      return lease && [leaseKey(lease.id), encodeLease(lease)]
    },
    members(_, value) {
      const decoded = decodeMember(value.toString())
      return decoded && [Buffer.from(memberHex(decoded.id)), Buffer.from(encodeMember(decoded))]
    },
    members_removed: (key, value) => [key, value],
    meta(key, value) {
      if (key.equals(metaKey.consistentIndex)) return [key, encodeUint64(decodeUint64(value) ?? 0)]
      return [key, encodeRevision(decodeRevision(value)?.main ?? 0, 0)]
    },
  }
  let count = 0
  for (const name of bucketNames) {
    for await (const leaf of database.leaves(name)) {
      for (const { key, value } of leaf) {
        expect(again[name]?.(key, value)).toEqual([key, value])
        count++
      }
    }
  }
  await database.close()
  expect(count).toBe(114)
})
