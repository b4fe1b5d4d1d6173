// codecs-lease.ts: the messages of the Lease service, its stream apart.
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '../api/gen/rpc.js'
import type { ServiceCodecs } from './codecs.js'

export const codecs = {
  // A grant repeated after all had gone well leaves a lease that nobody knows and that runs out
  // by itself; a revoke repeated says that there is no lease. etcdctl takes that, too.
  leaseGrant: {
    request: LeaseGrantRequest,
    response: LeaseGrantResponse,
    repetition: 'repeatable',
  },
  leaseRevoke: {
    request: LeaseRevokeRequest,
    response: LeaseRevokeResponse,
    repetition: 'repeatable',
  },
  leaseTimeToLive: {
    request: LeaseTimeToLiveRequest,
    response: LeaseTimeToLiveResponse,
    repetition: 'read',
  },
  leaseLeases: { request: LeaseLeasesRequest, response: LeaseLeasesResponse, repetition: 'read' },
} satisfies ServiceCodecs
