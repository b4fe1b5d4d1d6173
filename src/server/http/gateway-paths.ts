// gateway-paths.ts: the path of each method at the JSON gateway, as etcd has them.

/** Whether a path belongs to the gateway; older clients still use the name of its trial time. */
export const isGatewayPath = (pathname: string): boolean => prefix.test(pathname)

/** /v3/kv/range → /etcdserverpb.KV/Range; undefined for a path without a method. */
export const rpcPath = (pathname: string): string | undefined =>
  rpcPaths.get(pathname.replace(prefix, ''))

const prefix = /^\/v3(beta)?\//

/** Words of a service's paths after /v3/, and the methods that they stand for. */
const services: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'etcdserverpb.KV': {
    'kv/range': 'Range',
    'kv/put': 'Put',
    'kv/deleterange': 'DeleteRange',
    'kv/txn': 'Txn',
    'kv/compaction': 'Compact',
  },
  'etcdserverpb.Watch': { watch: 'Watch' },
  'etcdserverpb.Lease': {
    'lease/grant': 'LeaseGrant',
    'lease/revoke': 'LeaseRevoke',
    'kv/lease/revoke': 'LeaseRevoke',
    'lease/keepalive': 'LeaseKeepAlive',
    'lease/timetolive': 'LeaseTimeToLive',
    'kv/lease/timetolive': 'LeaseTimeToLive',
    'lease/leases': 'LeaseLeases',
    'kv/lease/leases': 'LeaseLeases',
  },
  'etcdserverpb.Cluster': {
    'cluster/member/add': 'MemberAdd',
    'cluster/member/remove': 'MemberRemove',
    'cluster/member/update': 'MemberUpdate',
    'cluster/member/list': 'MemberList',
    'cluster/member/promote': 'MemberPromote',
  },
  'etcdserverpb.Maintenance': {
    'maintenance/alarm': 'Alarm',
    'maintenance/status': 'Status',
    'maintenance/defragment': 'Defragment',
    'maintenance/hash': 'Hash',
    'maintenance/hashkv': 'HashKV',
    'maintenance/snapshot': 'Snapshot',
    'maintenance/transfer-leadership': 'MoveLeader',
    'maintenance/downgrade': 'Downgrade',
  },
  'etcdserverpb.Auth': {
    'auth/enable': 'AuthEnable',
    'auth/disable': 'AuthDisable',
    'auth/status': 'AuthStatus',
    'auth/authenticate': 'Authenticate',
    'auth/user/add': 'UserAdd',
    'auth/user/get': 'UserGet',
    'auth/user/list': 'UserList',
    'auth/user/delete': 'UserDelete',
    'auth/user/changepw': 'UserChangePassword',
    'auth/user/grant': 'UserGrantRole',
    'auth/user/revoke': 'UserRevokeRole',
    'auth/role/add': 'RoleAdd',
    'auth/role/get': 'RoleGet',
    'auth/role/list': 'RoleList',
    'auth/role/delete': 'RoleDelete',
    'auth/role/grant': 'RoleGrantPermission',
    'auth/role/revoke': 'RoleRevokePermission',
  },
  'v3lockpb.Lock': { 'lock/lock': 'Lock', 'lock/unlock': 'Unlock' },
  'v3electionpb.Election': {
    'election/campaign': 'Campaign',
    'election/proclaim': 'Proclaim',
    'election/leader': 'Leader',
    'election/observe': 'Observe',
    'election/resign': 'Resign',
  },
}

const rpcPaths: ReadonlyMap<string, string> = new Map(
  Object.entries(services).flatMap(([service, paths]) =>
    Object.entries(paths).map(([path, method]) => [path, `/${service}/${method}`] as const),
  ),
)
