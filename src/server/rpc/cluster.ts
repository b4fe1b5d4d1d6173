// cluster.ts: the Cluster service. Its headers carry no revision.
import { type Member, MemberListRequest, MemberListResponse } from '../../api/gen/rpc.js'
import type { MemberRecord } from '../../storage/schema.js'
import { type MethodTable, service, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function clusterService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.Cluster', {
    MemberList: unary((data) => memberList(parts, MemberListRequest.decode(data))),
  })
}

async function memberList(parts: ServiceParts, request: MemberListRequest): Promise<Uint8Array> {
  if (request.linearizable) await parts.node.linearizable()
  return MemberListResponse.encode({
    header: parts.headers.message(0),
    members: parts.membership.list().map(memberMessage),
  }).finish()
}

export function memberMessage(member: MemberRecord): Member {
  return {
    ID: member.id.toString(),
    name: member.name,
    peerURLs: [...member.peerUrls],
    clientURLs: [...member.clientUrls],
    isLearner: member.isLearner,
  }
}
