// candidate.ts: a member that asks for votes.
//
// A pre-candidate asks whether it would win before it raises its term: a member
// that was cut off then cannot force the others into a new term (raft
// dissertation, 9.6). A transfer of leadership skips that, and the patience of
// members who still hear their leader, by the word in the context of the vote.
import { type Message, MessageType } from '../api/gen/raft.js'
import { describeId } from './describe.js'
import { heedLeader } from './follower.js'
import { becomeLeader } from './leader.js'
import { nobody, type Raft } from './raft.js'

/** Context of a vote request that the leader itself asked for. Part of the protocol. */
export const campaignTransfer = Buffer.from('CampaignTransfer')

export type Campaign = 'preElection' | 'election' | 'transfer'

/** Starts an election, if this member may. */
export function hup(raft: Raft, campaign: Campaign): void {
  if (raft.role === 'leader') return
  if (!raft.canCampaign()) {
    raft.trace?.('is no voter, does not campaign')
    return
  }
  // Such a change might say that it is no voter any more.
  if (raft.log.hasUnappliedConfChange(raft.config.messageBytesMax)) {
    raft.trace?.('has a membership change to apply, does not campaign')
    return
  }
  startCampaign(raft, campaign)
}

/** False: the proposal in the message was dropped. */
export function stepCandidate(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.MsgProp:
      return false
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      // Somebody else won this term.
      raft.becomeFollower(message.term, message.from)
      heedLeader(raft, message)
      return true
    case MessageType.MsgVoteResp:
      // Answers to the pre-campaign may still come in; they are no votes.
      if (raft.role === 'candidate') countVote(raft, message.from, !message.reject)
      return true
    case MessageType.MsgPreVoteResp:
      if (raft.role === 'preCandidate') countVote(raft, message.from, !message.reject)
      return true
    default:
      return true
  }
}

export function countVote(raft: Raft, from: bigint, granted: boolean): void {
  const result = raft.tracker.recordVote(from, granted)
  raft.trace?.(
    `gets a ${granted ? 'yes' : 'no'} from ${describeId(from)} as ${raft.role}: ${result}`,
  )
  if (result === 'lost') raft.becomeFollower(raft.term, nobody)
  if (result !== 'won') return
  if (raft.role === 'preCandidate') startCampaign(raft, 'election')
  else becomeLeader(raft)
}

function startCampaign(raft: Raft, campaign: Campaign): void {
  if (campaign === 'preElection') {
    // Neither term nor vote change: to ask binds nobody.
    raft.tracker.resetVotes()
    raft.leader = nobody
    raft.role = 'preCandidate'
  } else {
    raft.reset(raft.term + 1)
    raft.vote = raft.id
    raft.role = 'candidate'
  }
  raft.trace?.(`is ${raft.role} at term ${raft.term}`)
  raft.ownVote = { term: raft.term, role: raft.role }
  askForVotes(raft, campaign)
}

function askForVotes(raft: Raft, campaign: Campaign): void {
  const last = raft.log.lastId()
  const isPreElection = campaign === 'preElection'
  for (const to of raft.tracker.voters) {
    if (to === raft.id) continue
    raft.send({
      type: isPreElection ? MessageType.MsgPreVote : MessageType.MsgVote,
      to,
      term: isPreElection ? raft.term + 1 : raft.term,
      index: last.index,
      logTerm: last.term,
      context: campaign === 'transfer' ? campaignTransfer : undefined,
    })
  }
}
