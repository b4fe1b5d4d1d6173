// publisher.ts: how a member tells the others its name and client URLs, and a leader the version
// that all agree on. A lone member tells nobody. In a cluster both go through the log, in the form
// that its version reads:
//
//     up to 3.5   a request of the v2 API: PUT /0/members/ID/attributes, PUT /0/version
//     from 3.6    fields 1301 and 1300 of InternalRaftRequest
import { ClusterMemberAttrSetRequest, ClusterVersionSetRequest } from '../../api/gen/membership.js'
import { jsonString } from '../../storage/exact-json.js'
import { memberHex } from '../../storage/schema.js'
import { type Proposer, requestField } from '../proposer.js'
import { compareVersions } from './cluster-version.js'
import { versionPath } from './v2-request.js'

/** From here on members read the fields of their own, and 3.7 reads nothing else. */
const firstWithOwnFields = '3.6.0'

export interface Attributes {
  name: string
  clientUrls: readonly string[]
}

export async function publishAttributes(
  proposer: Pick<Proposer, 'propose' | 'proposeV2'>,
  { id, name, clientUrls }: Attributes & { id: bigint },
  agreedVersion: string,
): Promise<void> {
  if (hasOwnFields(agreedVersion)) {
    const member_attributes = { name, client_urls: [...clientUrls] }
    const request = { member_ID: id.toString(), member_attributes }
    const message = ClusterMemberAttrSetRequest.encode(request).finish()
    await proposer.propose(requestField.clusterMemberAttrSet, message)
    return
  }
  const urls = clientUrls.map(jsonString).join(',')
  const value = `{"name":${jsonString(name)},"clientURLs":[${urls}]}`
  await proposer.proposeV2(`/0/members/${memberHex(id)}/attributes`, value)
}

export async function publishVersion(
  proposer: Pick<Proposer, 'propose' | 'proposeV2'>,
  version: string,
): Promise<void> {
  if (hasOwnFields(version)) {
    const message = ClusterVersionSetRequest.encode({ ver: version }).finish()
    await proposer.propose(requestField.clusterVersionSet, message)
    return
  }
  await proposer.proposeV2(versionPath, version)
}

function hasOwnFields(version: string): boolean {
  return compareVersions(version, firstWithOwnFields) >= 0
}
