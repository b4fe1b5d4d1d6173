// step.ts: where messages and ticks enter: first the rules about terms and
// votes, which are the same for all roles, then on to the role.
import { type Message, MessageType } from '../api/gen/raft.js'
import { campaignTransfer, hup, stepCandidate } from './candidate.js'
import { describeMessage } from './describe.js'
import { stepFollower } from './follower.js'
import { stepLeader, tickLeader } from './leader.js'
import { nobody, type Raft } from './raft.js'

export function tick(raft: Raft): void {
  if (raft.role === 'leader') {
    tickLeader(raft)
    return
  }
  raft.electionElapsed++
  if (raft.electionElapsed < raft.electionTimeout || !raft.canCampaign()) return
  raft.electionElapsed = 0
  hup(raft, raft.config.preVote ? 'preElection' : 'election')
}

/** False: a proposal in the message was dropped. */
export function step(raft: Raft, message: Message): boolean {
  // Term 0: a proposal or a request to read, bound to no term.
  if (message.term > raft.term && !admitsHigherTerm(raft, message)) return true
  if (message.term > 0 && message.term < raft.term) {
    answerLowerTerm(raft, message)
    return true
  }
  switch (message.type) {
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      answerVote(raft, message)
      return true
    case MessageType.MsgTimeoutNow:
      // The leader wants this member in its place. One that campaigns already goes on.
      if (raft.role === 'follower') hup(raft, 'transfer')
      return true
    default:
      return stepRole(raft, message)
  }
}

function stepRole(raft: Raft, message: Message): boolean {
  if (raft.role === 'leader') return stepLeader(raft, message)
  if (raft.role === 'follower') return stepFollower(raft, message)
  return stepCandidate(raft, message)
}

/** False: the message is ignored. Otherwise this member may be a follower in its term now. */
function admitsHigherTerm(raft: Raft, message: Message): boolean {
  const { type } = message
  const isVote = type === MessageType.MsgVote || type === MessageType.MsgPreVote
  if (isVote && isInLease(raft) && !campaignTransfer.equals(message.context ?? Buffer.alloc(0))) {
    raft.trace?.(`hears its leader, ignores ${describeMessage(message)}`)
    return false
  }
  // A pre-vote speaks of a term that nobody has entered, and so does its grant.
  if (type === MessageType.MsgPreVote) return true
  if (type === MessageType.MsgPreVoteResp && !message.reject) return true
  const isFromLeader =
    type === MessageType.MsgApp || type === MessageType.MsgHeartbeat || type === MessageType.MsgSnap
  raft.becomeFollower(message.term, isFromLeader ? message.from : nobody)
  return true
}

/** A leader was heard of within the shortest election timeout (raft dissertation, 4.2.3). */
function isInLease(raft: Raft): boolean {
  const { checkQuorum, electionTicks } = raft.config
  return checkQuorum && raft.leader !== nobody && raft.electionElapsed < electionTicks
}

function answerLowerTerm(raft: Raft, message: Message): void {
  const { type, from: to } = message
  const { checkQuorum, preVote } = raft.config
  const isLeaders = type === MessageType.MsgApp || type === MessageType.MsgHeartbeat
  if (isLeaders && (checkQuorum || preVote)) {
    // A leader of an old term, or this member rose alone and nobody heeds its
    // votes (isInLease): only its term in an answer ends that.
    raft.send({ type: MessageType.MsgAppResp, to })
  } else if (type === MessageType.MsgPreVote) {
    // Silence could leave a cluster that mixes both settings without a leader.
    raft.send({ type: MessageType.MsgPreVoteResp, to, reject: true })
  } else {
    raft.trace?.(`ignores, at term ${raft.term}: ${describeMessage(message)}`)
  }
}

/**
 * Learners answer too: a member may have been made a voter without knowing it
 * yet, and its vote can be the one that is needed.
 */
function answerVote(raft: Raft, message: Message): void {
  const { from: to, index, logTerm, term } = message
  const isPreVote = message.type === MessageType.MsgPreVote
  const type = isPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp
  const canVote =
    raft.vote === to ||
    (raft.vote === nobody && raft.leader === nobody) ||
    (isPreVote && term > raft.term)
  const granted = canVote && raft.log.isUpToDate({ index, term: logTerm })
  raft.trace?.(`${granted ? 'grants' : 'refuses'} ${describeMessage(message)}`)
  if (!granted) {
    raft.send({ type, to, reject: true })
    return
  }
  // The term asked for, not the own one: for a pre-vote they differ.
  raft.send({ type, to, term })
  if (isPreVote) return
  raft.electionElapsed = 0
  raft.vote = to
}
