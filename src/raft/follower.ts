// follower.ts: a member that takes what its leader sends.
//
// A candidate that meets a leader of its own term comes here too, after it gave
// up. Every answer leaves with the Ready that holds what it promises.
import { strict as assert } from 'node:assert'
import { type Message, MessageType } from '../api/gen/raft.js'
import { restoredMembership } from './conf-change.js'
import { describeSnapshot } from './describe.js'
import { nobody, type Raft } from './raft.js'
import { emptyConfState, metadataOf } from './storage.js'

/** False: the proposal in the message was dropped. */
export function stepFollower(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.MsgProp:
    case MessageType.MsgReadIndex:
    case MessageType.MsgTransferLeader:
      if (raft.leader === nobody) return false
      raft.forward(message)
      return true
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      heedLeader(raft, message)
      return true
    case MessageType.MsgReadIndexResp:
      takeReadIndex(raft, message)
      return true
    default:
      return true
  }
}

/** An append, a heartbeat or a snapshot from the leader of this term. */
export function heedLeader(raft: Raft, message: Message): void {
  raft.electionElapsed = 0
  raft.leader = message.from
  if (message.type === MessageType.MsgApp) takeAppend(raft, message)
  if (message.type === MessageType.MsgHeartbeat) takeHeartbeat(raft, message)
  if (message.type === MessageType.MsgSnap) takeSnapshot(raft, message)
}

function takeAppend(raft: Raft, message: Message): void {
  const { log } = raft
  const { from: to, index, logTerm } = message
  const type = MessageType.MsgAppResp
  if (index < log.committed) {
    // Late or repeated. Everything up to the commit index agrees with any leader.
    raft.send({ type, to, index: log.committed })
    return
  }
  const last = log.appendAfter({ index, term: logTerm }, message.entries, message.commit)
  if (last !== undefined) {
    raft.send({ type, to, index: last })
    return
  }
  // The leader's log has terms of at most logTerm up to index. Entries here with
  // higher terms cannot be in it, so the hint jumps over them all at once.
  const hint = log.lastIndexWithTermAtMost(Math.min(index, log.lastIndex()), logTerm)
  raft.trace?.(`has no ${logTerm}/${index}, may agree up to ${hint.term}/${hint.index}`)
  raft.send({ type, to, index, reject: true, rejectHint: hint.index, logTerm: hint.term })
}

function takeHeartbeat(raft: Raft, message: Message): void {
  // The leader never names a commit beyond what this member acknowledged.
  raft.log.commitTo(message.commit)
  // The context is the leader's, whatever its version keeps in it: back as it came.
  raft.send({ type: MessageType.MsgHeartbeatResp, to: message.from, context: message.context })
}

function takeSnapshot(raft: Raft, message: Message): void {
  restore(raft, message)
  // Taken or not: up to the commit index, and no further for certain, all agree.
  raft.send({ type: MessageType.MsgAppResp, to: message.from, index: raft.log.committed })
}

function restore(raft: Raft, { snapshot }: Message): void {
  const { log } = raft
  if (snapshot === undefined) return
  const { index, term, conf_state } = metadataOf(snapshot)
  if (index <= log.committed) return
  const membership = restoredMembership(conf_state ?? emptyConfState())
  if (![...membership.voters, ...membership.learners].includes(raft.id)) {
    raft.trace?.(`is not in ${describeSnapshot(snapshot)}, ignored`)
    return
  }
  if (log.matches({ index, term })) {
    // Nothing is missing here: only the news that it is committed.
    log.commitTo(index)
    raft.trace?.(`has all of ${describeSnapshot(snapshot)}`)
    return
  }
  assert(raft.role === 'follower', `a ${raft.role} must not restore a snapshot`)
  raft.trace?.(`restores ${describeSnapshot(snapshot)}`)
  log.restore(snapshot)
  raft.switchTo(membership)
}

function takeReadIndex(raft: Raft, { index, entries }: Message): void {
  const context = entries[0]?.Data
  if (entries.length === 1 && context) raft.readStates.push({ index, context })
}
