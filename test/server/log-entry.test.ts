// Entries that are written by hand are the bytes that the codec writes.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InternalRaftRequest } from '../../src/api/gen/raft_internal.js'
import { PutRequest } from '../../src/api/gen/rpc.js'
import { logEntry } from '../../src/server/log-entry.js'

const putField = 4
const put = PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.alloc(200, 'v') })
const message = PutRequest.encode(put).finish()

/** Fields in ascending order, as etcd's codec writes them; ours goes by their place in the file. */
function encoded(id: bigint, more: { username?: string; auth_revision?: string } = {}): Buffer {
  const header = { ID: id.toString(), ...more }
  const parts = [{ put }, { header }].map((each) =>
    InternalRaftRequest.encode(InternalRaftRequest.fromPartial(each)).finish(),
  )
  return Buffer.concat(parts)
}

test('for nobody in particular, whatever the id', () => {
  const ids = fc.oneof(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 1n, max: 300n }),
  )
  fc.assert(
    fc.property(ids, (id) => {
      expect(logEntry({ id, who: undefined }, putField, message)).toEqual(encoded(id))
    }),
  )
  for (const bits of [7n, 14n, 28n, 31n, 32n, 35n, 56n, 63n]) {
    for (const id of [2n ** bits - 1n, 2n ** bits]) {
      expect(logEntry({ id, who: undefined }, putField, message)).toEqual(encoded(id))
    }
  }
})

test('for a user', () => {
  const who = { user: 'ann', revision: 300 }
  expect(logEntry({ id: 2n ** 63n, who }, putField, message)).toEqual(
    encoded(2n ** 63n, { username: 'ann', auth_revision: '300' }),
  )
})
