// etcd.test.ts: a transport among real members: a learner with nothing behind the transport but a
// few lines that follow a leader, added to a real etcd that has already compacted its log.
import { expect, test } from 'vitest'
import { type Message, MessageType } from '../../../src/api/gen/raft.js'
import { getMembers, getVersion } from '../../../src/server/peer/client.js'
import { describeWithEtcd, freePorts, startRealEtcd } from '../../support/real-etcd.js'
import { type End, heard, raftMessage, startEnd, until } from './ends.js'

const timeoutMs = 60_000
/** What every page of a database file begins its first 16 bytes after: bbolt's mark. */
const databaseMark = Buffer.from('edda0ced', 'hex')

/** Answers a leader as a follower does that keeps everything it gets. */
function follow(end: End, message: Message): void {
  const answer = { from: message.to, to: message.from, term: message.term }
  const send = (fields: Partial<Message>) =>
    end.transport.send([raftMessage({ ...answer, ...fields })])
  if (message.type === MessageType.MsgHeartbeat) {
    const context = message.context === undefined ? {} : { context: message.context }
    send({ type: MessageType.MsgHeartbeatResp, ...context })
  } else if (message.type === MessageType.MsgSnap) {
    send({ type: MessageType.MsgAppResp, index: message.snapshot?.metadata?.index ?? 0 })
  } else if (message.type === MessageType.MsgApp) {
    const hasSnapshot = end.received.some(({ type }) => type === MessageType.MsgSnap)
    const last = message.entries.at(-1)?.Index ?? message.index
    send(
      hasSnapshot
        ? { type: MessageType.MsgAppResp, index: last }
        : { type: MessageType.MsgAppResp, index: message.index, reject: true },
    )
  }
}

describeWithEtcd('beside a real leader', () => {
  test('a learner gets its snapshot, then what is written, and can write itself', async () => {
    const [realPort = 0, ownPort = 0] = await freePorts(2)
    const realUrl = `http://127.0.0.1:${realPort}`
    const ownUrl = `http://127.0.0.1:${ownPort}`
    await using etcd = await startRealEtcd({
      flags: [
        `--listen-peer-urls=${realUrl}`,
        `--initial-advertise-peer-urls=${realUrl}`,
        `--initial-cluster=default=${realUrl}`,
        '--snapshot-count=5',
      ],
    })
    for (let i = 0; i < 12; i++) await etcd.etcdctl(['put', `k${i}`, 'v'.repeat(1_000)])
    await etcd.etcdctl(['member', 'add', 't', '--learner', `--peer-urls=${ownUrl}`])
    const { clusterId, members } = await getMembers([realUrl], { timeoutMs })
    const own = members.find(({ isLearner }) => isLearner)?.id ?? 0n
    const leader = members.find(({ isLearner }) => !isLearner)?.id ?? 0n
    expect(await getVersion(realUrl, { timeoutMs })).toMatchObject({ etcdcluster: '3.4.0' })

    let database = Buffer.alloc(0)
    await using end = await startEnd({
      id: own,
      listen: { host: '127.0.0.1', port: ownPort },
      parts: { clusterId },
      handlers: {
        step(message) {
          end.received.push(message)
          follow(end, message)
          heard()
        },
        async receiveSnapshot(_, body) {
          const pieces: Buffer[] = []
          for await (const piece of body) pieces.push(piece)
          database = Buffer.concat(pieces)
        },
      },
    })
    end.transport.addPeer(leader, [realUrl])

    const snapshot = await end.message(({ type }) => type === MessageType.MsgSnap)
    expect(database.subarray(16, 20)).toEqual(databaseMark)
    expect(database.length % 4096).toBe(0)
    expect(snapshot.snapshot?.metadata?.conf_state).toMatchObject({
      voters: [leader],
      learners: [own],
    })

    await etcd.etcdctl(['put', 'after', 'the-snapshot'])
    const append = await end.message(({ entries }) =>
      entries.some(({ Data }) => Data?.includes('the-snapshot') === true),
    )
    expect(append).toMatchObject({ type: MessageType.MsgApp, from: leader, to: own })
    await until(() => end.transport.activeSince(leader) !== undefined)

    // The leader commits what a learner proposes, here a put of the older API, and sends it back.
    const entries = [{ Type: 0 as const, Term: 0, Index: 0, Data: v2Put('/1/from-learner', 'x') }]
    const proposal = { type: MessageType.MsgProp, from: own, to: leader, entries }
    end.transport.send([raftMessage(proposal)])
    await end.message(
      ({ type, entries: got }) =>
        type === MessageType.MsgApp &&
        got.some(({ Data }) => Data?.includes('from-learner') === true),
    )
    expect(end.removedCount).toBe(0)

    await etcd.etcdctl(['member', 'remove', own.toString(16)])
    await until(() => end.removedCount > 0)
  })
})

/** PUT of a path in etcd's v2 API, as it stands in the log. */
function v2Put(path: string, value: string): Buffer {
  const text = (field: number, of: string) => [field, of.length, ...Buffer.from(of)]
  const zeros = [0x28, 0x32, 0x38, 0x48, 0x50, 0x58, 0x60, 0x68, 0x70, 0x78].flatMap((tag) => [
    tag,
    0,
  ])
  const head = [0x08, 0x7b, ...text(0x12, 'PUT'), ...text(0x1a, path), ...text(0x22, value)]
  return Buffer.from([...head, ...zeros, 0x80, 0x01, 0x00])
}
