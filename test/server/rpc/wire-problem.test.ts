// Whether bytes are a message: Go's words for each kind of fault, and, for thousands of damaged
// messages, that what passes is read by the codecs, alone and within an entry of the log.
import { expect, test } from 'vitest'
import { InternalRaftRequest } from '../../../src/api/gen/raft_internal.js'
import * as rpc from '../../../src/api/gen/rpc.js'
import { wireProblem } from '../../../src/server/rpc/wire-problem.js'
import { seededRandom } from '../../support/cutting-proxy.js'

test.each([
  ['PutRequest', '0a016b', undefined],
  ['PutRequest', '', undefined],
  ['PutRequest', '0a016b1202', 'unexpected EOF'],
  ['PutRequest', '0a', 'unexpected EOF'],
  ['PutRequest', '0aff', 'unexpected EOF'],
  ['PutRequest', '18ffffffffffffffffffff01', 'proto: integer overflow'],
  ['PutRequest', '18ffffffffffffffffff01', undefined], // -1
  ['PutRequest', '0801', 'proto: wrong wireType = 0 for field Key'],
  ['RangeRequest', '1001', 'proto: wrong wireType = 0 for field RangeEnd'],
  ['MemberAddRequest', '0801', 'proto: wrong wireType = 0 for field PeerURLs'],
  ['PutRequest', '0001', 'proto: illegal tag 0 (wire type 0)'],
  ['PutRequest', '8080808080808001', 'proto: illegal tag 70368744177664 (wire type 0)'],
  ['PutRequest', 'c60300', 'proto: illegal wireType 6'],
  // Unknown fields of each type: varint, eight bytes, bytes, a group, four bytes.
  ['PutRequest', 'c03e01c13e0102030405060708c23e0100c33e0801c43ec53e01020304', undefined],
  ['PutRequest', 'c33e0801', 'unexpected EOF'],
  // Filters one by one and together; a message inside that is longer than what holds it.
  ['WatchCreateRequest', '28002801', undefined],
  ['WatchCreateRequest', '2a020001', undefined],
  ['TxnRequest', '12050a030a016b', undefined],
  ['TxnRequest', '12050a030a026b0a', 'unexpected EOF'],
])('%s %s: %s', (type, hex, problem) => {
  expect(wireProblem(`etcdserverpb.${type}`, Buffer.from(hex, 'hex'))).toBe(problem)
})

/** Field 6 of an entry of the log. */
const txnField = 0x32

/** One field: its tag, the length in two bytes, and the message. */
const delimited = (message: Buffer, tag: number): Buffer =>
  Buffer.concat([Buffer.of(tag, (message.length & 127) | 128, message.length >> 7), message])

test('transactions within transactions end somewhere', () => {
  let message: Buffer = Buffer.alloc(0)
  for (let depth = 0; depth < 1500; depth++) message = delimited(delimited(message, 0x22), 0x12)
  const problem = wireProblem('etcdserverpb.TxnRequest', message)
  expect(problem).toBe('proto: exceeded maximum recursion depth')
})

const key = Buffer.from('key')
const operation = { request_put: { key, value: Buffer.alloc(130, 'v'), lease: '-1' } }
const nested = { request_txn: { compare: [{ key, range_end: key, version: '7' }] } }
const txn = rpc.TxnRequest.fromPartial({ success: [operation, nested], failure: [operation] })

test.each([1, 2, 3])('what passes can be read again (seed %i)', (seed) => {
  const random = seededRandom(seed)
  const whole = Buffer.from(rpc.TxnRequest.encode(txn).finish())
  expect(wireProblem('etcdserverpb.TxnRequest', whole)).toBeUndefined()
  let passed = 0
  for (let round = 0; round < 5_000; round++) {
    const damaged = Buffer.from(whole.subarray(0, whole.length - random(3) * random(whole.length)))
    for (let changes = random(4); changes >= 0 && damaged.length > 0; changes--) {
      damaged[random(damaged.length)] = random(256)
    }
    if (wireProblem('etcdserverpb.TxnRequest', damaged) !== undefined) continue
    passed++
    rpc.TxnRequest.decode(damaged)
    InternalRaftRequest.decode(delimited(damaged, txnField))
  }
  expect(passed).toBeGreaterThan(500)
})
