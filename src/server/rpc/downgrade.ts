// downgrade.ts: whether the cluster could go back by one minor version. To enable that is refused:
// members of this kind keep files and a log that any etcd from 3.4 on can take over as they are, so
// there is nothing to prepare.
import {
  DowngradeRequest_DowngradeAction as Action,
  DowngradeRequest,
  DowngradeResponse,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { clusterVersion } from '../../api/version.js'
import { RpcError, Status } from '../../grpc/status.js'
import type { ServiceParts } from './parts.js'

export async function downgrade(parts: ServiceParts, data: Buffer): Promise<Uint8Array> {
  const { action, version } = DowngradeRequest.decode(data)
  const current = parts.membership.agreedVersion ?? clusterVersion
  if (action === Action.VALIDATE || action === Action.ENABLE) {
    await parts.node.linearizable()
    checkTarget(version, current)
  }
  if (action === Action.ENABLE) throw new RpcError(Status.unimplemented, nothingToPrepare)
  if (action !== Action.VALIDATE && action !== Action.CANCEL) {
    throw new RpcError(Status.unknown, 'etcdserver: unknown method')
  }
  const header = parts.headers.message(parts.store.revision)
  return DowngradeResponse.encode({ header, version: minor(current) }).finish()
}

const nothingToPrepare =
  'a downgrade need not be enabled: etcd from 3.4 on opens the data of this server as they are'

/** 3.6, 3.6.1, 3.6.1-rc.0: the patch and what is behind it do not matter. */
const versionPattern = /^\d+\.\d+(\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?$/

/** @throws EtcdError wrongDowngradeVersionFormat, invalidDowngradeTargetVersion */
function checkTarget(target: string, current: string): void {
  if (!versionPattern.test(target)) throw new EtcdError('wrongDowngradeVersionFormat')
  const [major, minorNumber = 0] = current.split('.').map(Number)
  const [targetMajor, targetMinor] = target.split('.', 2).map(Number)
  if (targetMajor !== major || targetMinor !== minorNumber - 1) {
    throw new EtcdError('invalidDowngradeTargetVersion')
  }
}

/** 3.7.1 → 3.7 */
const minor = (version: string): string => version.split('.').slice(0, 2).join('.')
