// debug-vars.ts: the variables of /debug/vars: raft's own view of itself, for a person who looks.
import { memberHex } from '../../storage/schema.js'
import { openFilesMax } from '../metrics/member.js'
import type { ServiceParts } from '../rpc/parts.js'

const stateNames = {
  leader: 'StateLeader',
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  preCandidate: 'StatePreCandidate',
} as const

export function debugVars({ node, config }: ServiceParts): string {
  const { id, term, vote, commit, leader, role, leadTransferee, progress } = node.status()
  const followers = [...progress].map(([member, { match, next, state }]) => [
    memberHex(member),
    { match, next, state: String(state) },
  ])
  const vars = {
    cmdline: ['tsctl', 'server', `--name=${config.name}`],
    file_descriptor_limit: openFilesMax() ?? 0,
    memstats: { Sys: process.memoryUsage().rss, HeapAlloc: process.memoryUsage().heapUsed },
    'raft.status': {
      id: memberHex(id),
      term,
      vote: memberHex(vote),
      commit,
      lead: memberHex(leader),
      raftState: stateNames[role],
      applied: node.applied,
      progress: Object.fromEntries(followers),
      leadtransferee: memberHex(leadTransferee),
    },
  }
  return `${JSON.stringify(vars, null, 1)}\n`
}
