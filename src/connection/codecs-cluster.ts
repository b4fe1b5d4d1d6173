// codecs-cluster.ts: the messages of the Cluster service.
import {
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
} from '../api/gen/rpc.js'
import type { ServiceCodecs } from './codecs.js'

export const codecs = {
  memberAdd: { request: MemberAddRequest, response: MemberAddResponse, repetition: 'once' },
  memberRemove: {
    request: MemberRemoveRequest,
    response: MemberRemoveResponse,
    repetition: 'once',
  },
  memberUpdate: {
    request: MemberUpdateRequest,
    response: MemberUpdateResponse,
    repetition: 'once',
  },
  memberList: { request: MemberListRequest, response: MemberListResponse, repetition: 'read' },
  memberPromote: {
    request: MemberPromoteRequest,
    response: MemberPromoteResponse,
    repetition: 'once',
  },
} satisfies ServiceCodecs
