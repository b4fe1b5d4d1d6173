// Which heartbeats count as late, on a clock that is moved by hand.
import { expect, test } from 'vitest'
import { Message, MessageType } from '../../../src/api/gen/raft.js'
import { LateHeartbeats } from '../../../src/server/metrics/late-heartbeats.js'
import { newManualClock } from '../../support/manual-clock.js'

const message = (to: bigint, type: MessageType): Message =>
  Message.fromPartial({ type, to, from: 1n, term: 1 })

test('a heartbeat more than two intervals after the last one to the same member is late', () => {
  const clock = newManualClock()
  const late = new LateHeartbeats(clock, 100)
  const beat = (to: bigint) => late.onSend([message(to, MessageType.MsgHeartbeat)])
  const counts: number[] = []
  const after = (ms: number, work: () => void) => {
    clock.advance(ms)
    work()
    counts.push(late.count)
  }
  after(0, () => beat(2n))
  after(200, () => beat(2n)) // just in time
  after(1, () => beat(3n)) // the first to this member
  after(200, () => beat(2n)) // 201 ms
  after(500, () => late.onSend([message(2n, MessageType.MsgApp)])) // no heartbeat
  after(0, () => beat(3n)) // 700 ms
  after(500, () => late.onLeader())
  after(0, () => beat(2n)) // the first of this term
  expect(counts).toEqual([0, 0, 0, 1, 1, 2, 2, 2])
})
