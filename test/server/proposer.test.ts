// What a request looks like in the log: the client's own bytes, and a header that says for whom.
import { expect, test } from 'vitest'
import { InternalRaftRequest } from '../../src/api/gen/raft_internal.js'
import { PutRequest } from '../../src/api/gen/rpc.js'
import type { Identity } from '../../src/auth/token.js'
import type { Outcome } from '../../src/server/apply.js'
import { Proposer, requestField } from '../../src/server/proposer.js'
import { RequestIds } from '../../src/server/request-id.js'
import { Wait } from '../../src/server/wait.js'
import { newManualClock } from '../support/manual-clock.js'

function logged(who: Identity | undefined): InternalRaftRequest {
  const entries: Buffer[] = []
  const node = {
    propose: (data: Buffer) => void entries.push(data),
    proposeConfChange: () => {},
  }
  const parts = { node, wait: new Wait<Outcome>(), ids: new RequestIds(7n, 0) }
  const limits = { requestBytesMax: 1000, timeoutMs: 1000 }
  const proposer = new Proposer({ ...parts, clock: newManualClock() }, limits)
  const put = PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.from('v') })
  void proposer.propose(requestField.put, PutRequest.encode(put).finish(), { who })
  return InternalRaftRequest.decode(entries[0] ?? Buffer.alloc(0))
}

test('a request of a user carries its name and the auth revision that it goes by', () => {
  const { header, put } = logged({ user: 'ann', revision: 300 })
  expect(header).toMatchObject({ username: 'ann', auth_revision: '300' })
  expect(header?.ID).not.toBe('0')
  expect(put?.key.toString()).toBe('k')
})

test('a request of nobody carries neither', () => {
  expect(logged(undefined).header).toMatchObject({ username: '', auth_revision: '0' })
})
