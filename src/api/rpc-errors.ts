// rpc-errors.ts: the errors that etcd names, each with its gRPC code and its text. Server and
// client share the table: the server sends code and text, the client finds the name again by the
// text. This is the one place where error text is matched. Source: the errors that etcd's own
// clients know, with the code as it is on the wire (three differ from their registration).

const prefix = 'etcdserver: '

/** name: [gRPC code on the wire, text after "etcdserver: "] */
const table = {
  emptyKey: [3, 'key is not provided'],
  keyNotFound: [3, 'key not found'],
  valueProvided: [3, 'value is provided'],
  leaseProvided: [3, 'lease is provided'],
  tooManyOps: [3, 'too many operations in txn request'],
  duplicateKey: [3, 'duplicate key given in txn request'],
  invalidClientApiVersion: [3, 'invalid client api version'],
  invalidSortOption: [3, 'invalid sort option'],
  compacted: [11, 'mvcc: required revision has been compacted'],
  futureRevision: [11, 'mvcc: required revision is a future revision'],
  noSpace: [8, 'mvcc: database space exceeded'],
  leaseNotFound: [5, 'requested lease not found'],
  leaseExists: [9, 'lease already exists'],
  leaseTtlTooLarge: [11, 'too large lease TTL'],
  watchCanceled: [1, 'watch canceled'],
  memberExists: [9, 'member ID already exist'],
  peerUrlExists: [9, 'Peer URLs already exists'],
  memberNotEnoughStarted: [2, 're-configuration failed due to not enough started members'],
  memberBadUrls: [3, 'given member URLs are invalid'],
  memberNotFound: [5, 'member not found'],
  memberNotLearner: [9, 'can only promote a learner member'],
  learnerNotReady: [9, 'can only promote a learner member which is in sync with leader'],
  tooManyLearners: [9, 'too many learner members in cluster'],
  clusterIdMismatch: [9, 'cluster ID mismatch'],
  requestTooLarge: [3, 'request is too large'],
  tooManyRequests: [2, 'too many requests'],
  rootUserNotExist: [9, 'root user does not exist'],
  rootRoleNotExist: [9, 'root user does not have root role'],
  userAlreadyExist: [9, 'user name already exists'],
  userEmpty: [3, 'user name is empty'],
  userNotFound: [9, 'user name not found'],
  roleAlreadyExist: [9, 'role name already exists'],
  roleNotFound: [9, 'role name not found'],
  roleEmpty: [3, 'role name is empty'],
  authFailed: [3, 'authentication failed, invalid user ID or password'],
  permissionNotGiven: [3, 'permission not given'],
  permissionDenied: [7, 'permission denied'],
  roleNotGranted: [9, 'role is not granted to the user'],
  permissionNotGranted: [9, 'permission is not granted to the role'],
  authNotEnabled: [9, 'authentication is not enabled'],
  invalidAuthToken: [16, 'invalid auth token'],
  invalidAuthMgmt: [3, 'invalid auth management'],
  authOldRevision: [3, 'revision of auth store is old'],
  noLeader: [14, 'no leader'],
  notLeader: [9, 'not leader'],
  leaderChanged: [14, 'leader changed'],
  notCapable: [9, 'not capable'],
  stopped: [14, 'server stopped'],
  timeout: [14, 'request timed out'],
  timeoutDueToLeaderFail: [14, 'request timed out, possibly due to previous leader failure'],
  timeoutDueToConnectionLost: [14, 'request timed out, possibly due to connection lost'],
  timeoutWaitAppliedIndex: [14, 'request timed out, waiting for the applied index took too long'],
  unhealthy: [14, 'unhealthy cluster'],
  corrupt: [15, 'corrupt cluster'],
  notSupportedForLearner: [9, 'rpc not supported for learner'],
  badLeaderTransferee: [9, 'bad leader transferee'],
  wrongDowngradeVersionFormat: [3, 'wrong downgrade target version format'],
  invalidDowngradeTargetVersion: [3, 'invalid downgrade target version'],
  clusterVersionUnavailable: [9, 'cluster version not found during downgrade'],
  downgradeInProcess: [9, 'cluster has a downgrade job in progress'],
  noInflightDowngrade: [9, 'no inflight downgrade job'],
  canceled: [1, 'request canceled'],
  deadlineExceeded: [4, 'context deadline exceeded'],
} as const satisfies Record<string, readonly [code: number, text: string]>

export type EtcdErrorCode = keyof typeof table

const codesByText = new Map<string, EtcdErrorCode>(
  (Object.keys(table) as EtcdErrorCode[]).map((code) => [prefix + table[code][1], code]),
)

/** An error that etcd has a name for. `message` is etcd's text, byte for byte. */
export class EtcdError extends Error {
  readonly code: EtcdErrorCode
  /** gRPC status code, 1 to 16, as a real server sends it. */
  readonly status: number

  constructor(code: EtcdErrorCode, options?: ErrorOptions) {
    super(prefix + table[code][1], options)
    this.name = 'EtcdError'
    this.code = code
    this.status = table[code][0]
  }
}

/** The code whose text a server sent, or undefined for a text that etcd does not register. */
export function etcdErrorCode(text: string): EtcdErrorCode | undefined {
  return codesByText.get(text)
}
