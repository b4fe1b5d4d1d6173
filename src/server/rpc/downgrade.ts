// downgrade.ts: a cluster that is to go back by one minor version. It is enabled and cancelled
// through the log; from then on the members agree on the older version
// (membership/cluster-version.ts), and etcd of that version may go on with their directories. Files
// need no preparation: they are the same for all versions.
import { DowngradeInfoSetRequest } from '../../api/gen/membership.js'
import {
  DowngradeRequest_DowngradeAction as Action,
  DowngradeRequest,
  DowngradeResponse,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { clusterVersion } from '../../api/version.js'
import type { ServerCall } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'
import { compareVersions, oneMinorDown } from '../membership/cluster-version.js'
import { requestField } from '../proposer.js'
import type { ServiceParts } from './parts.js'

export async function downgrade(
  parts: ServiceParts,
  data: Buffer,
  caller: ServerCall,
): Promise<Uint8Array> {
  const { action, version } = DowngradeRequest.decode(data)
  // The version as it is before the members agree on another one.
  let current: string
  if (action === Action.VALIDATE) {
    await checkTarget(parts, targetOf(version))
    current = agreed(parts)
  } else if (action === Action.ENABLE) {
    const target = targetOf(version)
    await checkTarget(parts, target)
    checkReaders(parts)
    current = agreed(parts)
    await set(parts, { enabled: true, ver: target }, caller)
  } else if (action === Action.CANCEL) {
    await parts.node.linearizable()
    current = agreed(parts)
    // As etcd from 3.6 on: there may be none.
    if (isEnabled(parts)) await set(parts, { enabled: false, ver: '' }, caller)
  } else {
    throw new RpcError(Status.unknown, 'etcdserver: unknown method')
  }
  const header = parts.headers.message(parts.store.revision)
  return DowngradeResponse.encode({ header, version: minor(current) }).finish()
}

async function set(
  { proposer }: ServiceParts,
  request: DowngradeInfoSetRequest,
  caller: ServerCall,
): Promise<void> {
  const message = DowngradeInfoSetRequest.encode(request).finish()
  await proposer.propose(requestField.downgradeInfoSet, message, { caller })
}

const agreed = ({ membership }: ServiceParts): string => membership.agreedVersion ?? clusterVersion

const isEnabled = ({ membership }: ServiceParts): boolean => membership.downgrade?.enabled ?? false

/** 3.6, 3.6.1, 3.6.1-rc.0: the patch and what is behind it do not matter. */
const versionPattern = /^(\d+)\.(\d+)(\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?$/

/** Major, minor and a zero. @throws EtcdError wrongDowngradeVersionFormat */
function targetOf(version: string): string {
  const [, major, minorNumber] = versionPattern.exec(version) ?? []
  if (major === undefined) throw new EtcdError('wrongDowngradeVersionFormat')
  return `${Number(major)}.${Number(minorNumber)}.0`
}

/** @throws EtcdError invalidDowngradeTargetVersion, downgradeInProcess */
async function checkTarget(parts: ServiceParts, target: string): Promise<void> {
  await parts.node.linearizable()
  if (target !== oneMinorDown(agreed(parts))) throw new EtcdError('invalidDowngradeTargetVersion')
  if (isEnabled(parts)) throw new EtcdError('downgradeInProcess')
}

/** From here on members know the entry that enables a downgrade; older ones would end at it. */
const firstReader = '3.5.0'

function checkReaders(parts: ServiceParts): void {
  if (compareVersions(agreed(parts), firstReader) >= 0) return
  const problem = 'a cluster with members before 3.5 cannot be downgraded: they do not know how'
  throw new RpcError(Status.unimplemented, problem)
}

/** 3.7.1 → 3.7 */
const minor = (version: string): string => version.split('.').slice(0, 2).join('.')
