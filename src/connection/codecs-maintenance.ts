// codecs-maintenance.ts: the messages of the Maintenance service, its stream apart.
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  DefragmentRequest,
  DefragmentResponse,
  DowngradeRequest,
  DowngradeRequest_DowngradeAction,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  StatusRequest,
  StatusResponse,
} from '../api/gen/rpc.js'
import type { ServiceCodecs } from './codecs.js'

export const codecs = {
  alarm: {
    request: AlarmRequest,
    response: AlarmResponse,
    repetition: 'repeatable',
    enums: { action: AlarmRequest_AlarmAction, alarm: AlarmType },
  },
  status: { request: StatusRequest, response: StatusResponse, repetition: 'read' },
  defragment: { request: DefragmentRequest, response: DefragmentResponse, repetition: 'once' },
  hash: { request: HashRequest, response: HashResponse, repetition: 'read' },
  hashKV: { request: HashKVRequest, response: HashKVResponse, repetition: 'read' },
  moveLeader: {
    request: MoveLeaderRequest,
    response: MoveLeaderResponse,
    repetition: 'repeatable',
  },
  downgrade: {
    request: DowngradeRequest,
    response: DowngradeResponse,
    repetition: 'once',
    enums: { action: DowngradeRequest_DowngradeAction },
  },
} satisfies ServiceCodecs
