// cluster.ts: the Cluster service. Its headers carry no revision.
import {
  type Member,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
} from '../../api/gen/rpc.js'
import type { MemberRecord } from '../../storage/schema.js'
import { type MethodTable, service, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function clusterService(parts: ServiceParts): MethodTable {
  const { reconfigurer } = parts
  const answer = (members: readonly MemberRecord[]) => ({
    header: parts.headers.message(0),
    members: members.map(memberMessage),
  })
  return service('etcdserverpb.Cluster', {
    MemberList: unary(async (data) => {
      const { linearizable } = MemberListRequest.decode(data)
      if (linearizable) await parts.node.linearizable()
      return MemberListResponse.encode(answer(parts.membership.list())).finish()
    }),
    MemberAdd: unary(async (data, call) => {
      const { peerURLs, isLearner } = MemberAddRequest.decode(data)
      const { member, members } = await reconfigurer.add(peerURLs, isLearner, call)
      const response = { ...answer(members), member: memberMessage(member) }
      return MemberAddResponse.encode(response).finish()
    }),
    MemberRemove: unary(async (data, call) => {
      const { ID } = MemberRemoveRequest.decode(data)
      const members = await reconfigurer.remove(BigInt(ID), call)
      return MemberRemoveResponse.encode(answer(members)).finish()
    }),
    MemberUpdate: unary(async (data, call) => {
      const { ID, peerURLs } = MemberUpdateRequest.decode(data)
      const members = await reconfigurer.update(BigInt(ID), peerURLs, call)
      return MemberUpdateResponse.encode(answer(members)).finish()
    }),
    MemberPromote: unary(async (data, call) => {
      const { ID } = MemberPromoteRequest.decode(data)
      const members = await reconfigurer.promote(BigInt(ID), call)
      return MemberPromoteResponse.encode(answer(members)).finish()
    }),
  })
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
