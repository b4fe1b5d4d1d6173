// access.ts: who is calling, and which calls are for whom. Calls about keys are not here: they are
// for whoever may read or write these keys (../permission.ts), which reads find out when they read
// and writes when they come out of the log.
import { EtcdError } from '../../api/rpc-errors.js'
import type { AuthStore } from '../../auth/store.js'
import type { Identity } from '../../auth/token.js'
import type { ServerCall } from '../../grpc/server.js'
import type { IndexWait } from '../index-wait.js'

/** What a method asks of its caller while authentication is on. */
type Requirement = 'user' | 'root'

const requirements: Readonly<Record<string, Requirement>> = {
  '/etcdserverpb.KV/Compact': 'root',
  '/etcdserverpb.Lease/LeaseGrant': 'user',
  '/etcdserverpb.Lease/LeaseRevoke': 'user',
  '/etcdserverpb.Lease/LeaseTimeToLive': 'user',
  '/etcdserverpb.Cluster/MemberList': 'user',
  '/etcdserverpb.Cluster/MemberAdd': 'root',
  '/etcdserverpb.Cluster/MemberRemove': 'root',
  '/etcdserverpb.Cluster/MemberUpdate': 'root',
  '/etcdserverpb.Cluster/MemberPromote': 'root',
  '/etcdserverpb.Maintenance/Status': 'user',
  // Only to look; raising one and putting it down is for root, which the handler sees.
  '/etcdserverpb.Maintenance/Alarm': 'user',
  '/etcdserverpb.Maintenance/Defragment': 'root',
  '/etcdserverpb.Maintenance/Snapshot': 'root',
  '/etcdserverpb.Maintenance/Hash': 'root',
  '/etcdserverpb.Maintenance/HashKV': 'root',
  '/etcdserverpb.Maintenance/MoveLeader': 'root',
  '/etcdserverpb.Maintenance/Downgrade': 'root',
}

export interface AccessParts {
  auth: AuthStore
  applied: IndexWait
  /** A client certificate was asked for and verified, so the name in it counts. */
  isCertificateChecked: boolean
}

export class Access {
  readonly #parts: AccessParts

  constructor(parts: AccessParts) {
    this.#parts = parts
  }

  /**
   * Undefined: nobody in particular, which is all that can be said while authentication is off.
   * A token counts before a certificate.
   * @throws EtcdError invalidAuthToken
   */
  identify(call: ServerCall): Identity | undefined | Promise<Identity> {
    const { auth, isCertificateChecked } = this.#parts
    if (!auth.isEnabled) return undefined
    const { token = call.metadata.authorization } = call.metadata
    if (token !== undefined) return this.#identifyToken(token.replace(/^Bearer /, ''), call)
    const { commonName } = call.peer
    // Such a call comes from a gateway, and the certificate is the gateway's own.
    const isForwarded = call.metadata['grpcgateway-accept'] !== undefined
    if (!isCertificateChecked || commonName === undefined || isForwarded) return undefined
    return { user: commonName, revision: auth.revision }
  }

  /** Undefined: the method is open to the caller. The promise rejects if it is not. */
  check(path: string, call: ServerCall): Promise<void> | undefined {
    const requirement = requirements[path]
    if (requirement === undefined || !this.#parts.auth.isEnabled) return undefined
    return this.require(requirement, call)
  }

  /** @throws EtcdError userEmpty, invalidAuthToken; for root also userNotFound, permissionDenied */
  async require(requirement: Requirement, call: ServerCall): Promise<void> {
    const who = await this.identify(call)
    const { auth } = this.#parts
    if (!auth.isEnabled) return
    if (requirement === 'root') auth.checkRoot(who)
    else if (who === undefined) throw new EtcdError('userEmpty')
  }

  /** The login that made the token may not have come out of this member's log yet. */
  async #identifyToken(token: string, call: ServerCall): Promise<Identity> {
    const { auth, applied } = this.#parts
    await applied.wait(auth.tokens.knownFrom(token), call.signal)
    const who = auth.tokens.identify(token, auth.revision)
    if (who === undefined) throw new EtcdError('invalidAuthToken')
    return who
  }
}
