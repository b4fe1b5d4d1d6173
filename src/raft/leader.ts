// leader.ts: a member that orders proposals and brings them to the others.
//
// Proposals and news of the commit index are not sent one by one: they mark a
// broadcast as due, and it is done when the Ready is taken, so that a batch of
// proposals travels in one append (broadcastAppends). What answers a message of
// one member goes to that member at once.
import { type Entry, EntryType, type Message, MessageType, type Snapshot } from '../api/gen/raft.js'
import { describeId, describeSnapshot } from './describe.js'
import type { Progress } from './progress.js'
import { nobody, type Raft } from './raft.js'
import { waitingReadsMax } from './read-only.js'
import { metadataOf } from './storage.js'

/** What is proposed: term and index are the leader's to give. */
export type Proposal = Pick<Entry, 'Type' | 'Data'>

export function becomeLeader(raft: Raft): void {
  raft.reset(raft.term)
  raft.role = 'leader'
  raft.leader = raft.id
  raft.trace?.(`is leader at term ${raft.term}`)
  const own = raft.tracker.progress.get(raft.id)
  own?.becomeReplicate()
  if (own) own.recentActive = true
  // The log may hold a membership change that is not applied yet. Looking for it
  // could mean reading all of the log; taking its end as one is safe.
  raft.pendingConfIndex = raft.log.lastIndex()
  // Entries of older terms are committed only together with one of this term
  // (raft §5.4.2), so there must be one even if nobody proposes.
  append(raft, [{ Type: EntryType.EntryNormal, Data: undefined }])
  acknowledgeOwn(raft)
}

export function tickLeader(raft: Raft): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = raft.config
  raft.heartbeatElapsed++
  raft.electionElapsed++
  if (raft.electionElapsed >= electionTicks) {
    raft.electionElapsed = 0
    if (checkQuorum && !hasQuorum(raft)) {
      raft.trace?.('hears of no majority')
      raft.becomeFollower(raft.term, nobody)
      return
    }
    // The target had its time; go on leading.
    raft.leadTransferee = nobody
  }
  if (raft.heartbeatElapsed >= heartbeatTicks) {
    raft.heartbeatElapsed = 0
    broadcastHeartbeats(raft)
  }
}

/** False: the proposal in the message was dropped. */
export function stepLeader(raft: Raft, message: Message): boolean {
  if (message.type === MessageType.MsgProp) return propose(raft, message.entries)
  if (message.type === MessageType.MsgReadIndex) {
    takeRead(raft, message)
    return true
  }
  const progress = raft.tracker.progress.get(message.from)
  if (!progress) return true
  if (message.type === MessageType.MsgAppResp) takeAppendResponse(raft, progress, message)
  if (message.type === MessageType.MsgHeartbeatResp) takeHeartbeatResponse(raft, progress, message)
  if (message.type === MessageType.MsgTransferLeader) transferTo(raft, progress, message.from)
  return true
}

/** Adds entries to the log; they are sent with the next Ready. False: dropped. */
export function propose(raft: Raft, proposals: readonly Proposal[]): boolean {
  // Who hands over must let the target catch up.
  if (raft.leadTransferee !== nobody || !hasRoom(raft, proposals)) return false
  append(raft, proposals)
  return true
}

/** Everything that was saved counts as this member's own acknowledgement. */
export function acknowledgeOwn(raft: Raft): void {
  const own = raft.tracker.progress.get(raft.id)
  if (own?.acknowledge(raft.log.stableIndex())) commit(raft)
}

/** Called once a Ready: sends each member what it lacks, entries or the commit index. */
export function broadcastAppends(raft: Raft): void {
  raft.isBroadcastDue = false
  for (const [id, progress] of others(raft)) catchUp(raft, id, progress)
}

/**
 * The membership has changed: perhaps more is committed now, perhaps someone is
 * new. A leader that is no voter any more tells the others what it can, so that
 * they apply its removal too, and steps down.
 */
export function membershipChanged(raft: Raft): void {
  commit(raft)
  broadcastAppends(raft)
  if (!raft.tracker.isVoter(raft.id)) {
    raft.becomeFollower(raft.term, nobody)
    return
  }
  if (!raft.tracker.isVoter(raft.leadTransferee)) raft.leadTransferee = nobody
  answerConfirmedReads(raft)
}

/** The transport failed to deliver to that member; an append was probably lost. */
export function memberUnreachable(raft: Raft, id: bigint): void {
  const progress = raft.tracker.progress.get(id)
  if (progress?.state === 'replicate') progress.becomeProbe()
}

/** The transfer of a snapshot is over. */
export function snapshotSent(raft: Raft, id: bigint, ok: boolean): void {
  const progress = raft.tracker.progress.get(id)
  if (progress?.state !== 'snapshot') return
  // Without the snapshot, probing must not start behind it.
  if (!ok) progress.pendingSnapshot = 0
  progress.becomeProbe()
  // Done: its answer comes by itself. Failed: try again after the next heartbeat.
  progress.isFlowPaused = true
  raft.trace?.(`hears that ${describeId(id)} ${ok ? 'has' : 'did not get'} its snapshot`)
}

function append(raft: Raft, proposals: readonly Proposal[]): void {
  const { log, term } = raft
  let index = log.lastIndex()
  const entries: Entry[] = []
  for (const { Type, Data } of proposals) {
    index++
    entries.push(
      Type === EntryType.EntryNormal || admitsChange(raft, Type, index)
        ? { Type, Term: term, Index: index, Data }
        : { Type: EntryType.EntryNormal, Term: term, Index: index, Data: undefined },
    )
  }
  log.append(entries)
  raft.isBroadcastDue = true
}

/**
 * One membership change at a time, until it is applied. The entry of a second
 * one is emptied, not dropped: it may be one of several in a message.
 */
function admitsChange(raft: Raft, type: EntryType, index: number): boolean {
  // The joint form is not ours to decide on: etcd's own servers stop at one.
  const isJoint = type === EntryType.EntryConfChangeV2
  if (isJoint || raft.pendingConfIndex > raft.log.applied) {
    raft.trace?.(`empties the change at ${index}: not applied up to ${raft.pendingConfIndex} yet`)
    return false
  }
  raft.pendingConfIndex = index
  return true
}

/** One proposal of any size is let in when nothing else waits. */
function hasRoom(raft: Raft, proposals: readonly Proposal[]): boolean {
  const { uncommittedBytesMax } = raft.config
  if (uncommittedBytesMax === undefined) return true
  const bytes = dataBytes(proposals)
  if (bytes > 0 && raft.uncommittedBytes > 0) {
    if (raft.uncommittedBytes + bytes > uncommittedBytesMax) return false
  }
  raft.uncommittedBytes += bytes
  return true
}

export const dataBytes = (proposals: readonly Proposal[]): number =>
  proposals.reduce((sum, { Data }) => sum + (Data?.length ?? 0), 0)

function* others(raft: Raft): Generator<[bigint, Progress]> {
  for (const pair of raft.tracker.progress) if (pair[0] !== raft.id) yield pair
}

/** Sends all that the windows allow; without entries, the commit index if it is news. */
function catchUp(raft: Raft, id: bigint, progress: Progress): void {
  let hasSent = false
  while (sendAppend(raft, id, progress, 'entries only')) hasSent = true
  if (!hasSent && progress.canRaiseCommit(raft.log.committed)) {
    sendAppend(raft, id, progress, 'even empty')
  }
}

type AppendNeed = 'entries only' | 'even empty'

/** One append, or a snapshot if the entries are gone. False: nothing was sent. */
function sendAppend(raft: Raft, to: bigint, progress: Progress, need: AppendNeed): boolean {
  if (progress.isPaused) return false
  const { log, config } = raft
  const index = progress.next - 1
  const logTerm = log.term(index)
  // With a full window an empty append still goes out: if all those in flight
  // were lost, its refusal is what gets things moving again.
  const isFull = progress.state === 'replicate' && progress.inflights.isFull
  const entries = isFull ? [] : log.entriesFrom(progress.next, config.messageBytesMax)
  if (logTerm === undefined || entries === undefined) return sendSnapshot(raft, to, progress)
  if (entries.length === 0 && need === 'entries only') return false
  const type = MessageType.MsgApp
  raft.send({ type, to, index, logTerm, entries, commit: log.committed })
  progress.sentEntries(entries)
  progress.sentCommit = log.committed
  return true
}

function sendSnapshot(raft: Raft, to: bigint, progress: Progress): boolean {
  if (!progress.recentActive) return false // nobody there to receive so much
  const snapshot = raft.log.snapshot()
  if (!snapshot || !reachesLog(raft, snapshot)) {
    raft.trace?.(`has no snapshot for ${describeId(to)} yet`)
    return false
  }
  raft.trace?.(`sends ${describeSnapshot(snapshot)} to ${describeId(to)}`)
  progress.becomeSnapshot(metadataOf(snapshot).index)
  raft.send({ type: MessageType.MsgSnap, to, snapshot })
  return true
}

/** A snapshot that ends before the log begins would only be asked for again. */
const reachesLog = (raft: Raft, snapshot: Snapshot): boolean =>
  metadataOf(snapshot).index + 1 >= raft.log.firstIndex()

function broadcastHeartbeats(raft: Raft): void {
  const context = raft.readOnly.context()
  for (const [to, progress] of others(raft)) {
    // Not beyond what it acknowledged: its log may still end in other entries.
    const commit = Math.min(progress.match, raft.log.committed)
    raft.send({ type: MessageType.MsgHeartbeat, to, commit, context })
    progress.sentCommit = commit
  }
}

function takeAppendResponse(raft: Raft, progress: Progress, message: Message): void {
  progress.recentActive = true
  if (message.reject) {
    takeRefusal(raft, progress, message)
    return
  }
  const { from, index } = message
  const isNews = progress.acknowledge(index)
  // A probe may be confirmed at what was known already; it can go on from there.
  const isProbeConfirmed = progress.state === 'probe' && progress.match === index
  if (!isNews && !isProbeConfirmed) return
  if (progress.state === 'replicate') {
    progress.inflights.freeUpTo(index)
  } else if (progress.state === 'probe') {
    progress.becomeReplicate()
  } else if (progress.match + 1 >= raft.log.firstIndex()) {
    // Whatever snapshot it restored, the log takes up where it ends.
    progress.becomeReplicate()
  }
  commit(raft)
  if (!raft.isBroadcastDue) catchUp(raft, from, progress)
  if (from === raft.leadTransferee) hurryTransferee(raft, progress)
}

/**
 * The member's log differs at the probed index. Its hint: at rejectHint it has
 * logTerm, and it can agree nowhere between there and the probe. Our own log can
 * agree with it only where our term is no higher:
 *
 *     index     1 2 3 4 5 6 7 8 9
 *     ours      1 3 3 3 5 5 5 5 5     probe at 9, refused with hint 2/6
 *     theirs    1 1 1 1 2 2           next probe at 1: our 3s and 5s cannot be there
 *
 * Members of 3.4 send only their last index; then the next probe is there.
 */
function takeRefusal(raft: Raft, progress: Progress, message: Message): void {
  const { from, index, rejectHint, logTerm } = message
  const hint =
    logTerm > 0 ? raft.log.lastIndexWithTermAtMost(rejectHint, logTerm).index : rejectHint
  if (!progress.moveBack(index, hint)) return
  if (progress.state === 'replicate') progress.becomeProbe()
  raft.trace?.(`probes ${describeId(from)} at ${progress.next}, as it refused ${index + 1}`)
  sendAppend(raft, from, progress, 'even empty')
}

function takeHeartbeatResponse(raft: Raft, progress: Progress, message: Message): void {
  const { from, context } = message
  progress.recentActive = true
  progress.isFlowPaused = false
  if (progress.match < raft.log.lastIndex() || progress.state === 'probe') {
    sendAppend(raft, from, progress, 'even empty')
  }
  if (context && context.length > 0) {
    raft.readOnly.acknowledge(from, context)
    answerConfirmedReads(raft)
  }
}

/** Moves the commit index to what a majority holds. */
function commit(raft: Raft): void {
  const { log, tracker, term } = raft
  if (!log.commitCounted(tracker.committed(), term)) return
  raft.isBroadcastDue = true
  for (const read of raft.earlyReads.splice(0)) takeRead(raft, read)
}

function takeRead(raft: Raft, message: Message): void {
  const { log, tracker, readOnly, id } = raft
  if (raft.earlyReads.length + readOnly.waitingCount >= waitingReadsMax) {
    raft.trace?.(`drops a read, ${waitingReadsMax} are waiting`)
    return
  }
  // Before an entry of its own term is committed, a leader does not know how far
  // the commit index of its predecessors went; one that leads alone neither.
  if (log.term(log.committed) !== raft.term) {
    raft.earlyReads.push(message)
    return
  }
  const isAlone = tracker.voters.length === 1 && tracker.isVoter(id)
  if (isAlone) answerRead(raft, message, log.committed)
  else if (readOnly.add(message, log.committed)) broadcastHeartbeats(raft)
}

function answerConfirmedReads(raft: Raft): void {
  for (const { request, index } of raft.readOnly.confirmed(raft.tracker.voters, raft.id)) {
    answerRead(raft, request, index)
  }
}

function answerRead(raft: Raft, { from, entries }: Message, index: number): void {
  if (from !== nobody && from !== raft.id) {
    raft.send({ type: MessageType.MsgReadIndexResp, to: from, index, entries })
    return
  }
  const context = entries[0]?.Data
  if (context) raft.readStates.push({ index, context })
}

function transferTo(raft: Raft, progress: Progress, to: bigint): void {
  if (progress.isLearner || to === raft.id || to === raft.leadTransferee) return
  raft.trace?.(`hands over to ${describeId(to)}`)
  raft.leadTransferee = to
  // It has one election timeout from now on.
  raft.electionElapsed = 0
  if (!hurryTransferee(raft, progress)) sendAppend(raft, to, progress, 'even empty')
}

/** A target that has the whole log shall campaign now, without waiting for its timeout. */
function hurryTransferee(raft: Raft, progress: Progress): boolean {
  if (progress.match !== raft.log.lastIndex()) return false
  raft.send({ type: MessageType.MsgTimeoutNow, to: raft.leadTransferee })
  return true
}

/** Was a majority heard of since the last time? Then a new count begins. */
function hasQuorum(raft: Raft): boolean {
  const result = raft.tracker.isQuorumActive(raft.id)
  for (const [, progress] of others(raft)) progress.recentActive = false
  return result
}
