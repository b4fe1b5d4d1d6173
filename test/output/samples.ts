// samples.ts: results to print, at least one of every kind; the mapped type sees to it. They hold
// what is awkward: ids above 2^53, keys with control characters, empty values, absent headers.

import type { KeyValue } from '../../src/api/gen/kv.js'
import type { Member, ResponseHeader } from '../../src/api/gen/rpc.js'
import type { ResultKind, ResultOf } from '../../src/output/format.js'

const header: ResponseHeader = {
  cluster_id: '14841639068965178418',
  member_id: '10276657743932975437',
  revision: '13',
  raft_term: '2',
}

/** As member and auth commands answer: without a revision. */
const bare: ResponseHeader = { ...header, revision: '0' }

/** As answers inside a transaction have it. */
const inner: ResponseHeader = { cluster_id: '0', member_id: '0', revision: '12', raft_term: '0' }

const none = Buffer.alloc(0)
const openEnd = Buffer.of(0)

function pair(
  key: string | Buffer,
  value: string | Buffer,
  more: Partial<KeyValue> = {},
): KeyValue {
  const revisions = { create_revision: '3', mod_revision: '4', version: '2', lease: '0' }
  return { key: Buffer.from(key), value: Buffer.from(value), ...revisions, ...more }
}

const deleted = (key: string): KeyValue =>
  pair(key, '', { create_revision: '0', mod_revision: '14', version: '0' })

const member = (more: Partial<Member>): Member => ({
  ID: '9372538179322589801',
  name: 'infra1',
  peerURLs: ['http://127.0.0.1:12380'],
  clientURLs: ['http://127.0.0.1:2379'],
  isLearner: false,
  ...more,
})

const members: Member[] = [
  member({}),
  member({
    ID: '10501334649042878790',
    name: '',
    peerURLs: ['http://127.0.0.1:22380', 'http://127.0.0.1:22381'],
    clientURLs: [],
    isLearner: true,
  }),
]

const watchAnswer = {
  header,
  watch_id: '0',
  created: false,
  canceled: false,
  compact_revision: '0',
  cancel_reason: '',
  fragment: false,
  events: [],
}

const leaseId = '3192948790649963528'

const status: ResultOf<'endpointStatus'>['rows'][number]['response'] = {
  header,
  version: '3.7.1',
  dbSize: '20480',
  leader: header.member_id,
  raftIndex: '9',
  raftTerm: '2',
  raftAppliedIndex: '9',
  errors: [],
  dbSizeInUse: '16384',
  isLearner: false,
  storageVersion: '3.7.0',
  dbSizeQuota: '2147483648',
  downgradeInfo: { enabled: false, targetVersion: '' },
}

const READ = 0
const WRITE = 1
const READWRITE = 2

type Samples = { readonly [K in ResultKind]: Readonly<Record<string, ResultOf<K>>> }

export const samples: Samples = {
  put: {
    'first time': { kind: 'put', response: { header, prev_kv: undefined } },
    'previous pair': { kind: 'put', response: { header, prev_kv: pair('foo', 'bar') } },
  },
  get: {
    'one pair': {
      kind: 'get',
      response: { header, kvs: [pair('b', '2b')], more: false, count: '1' },
    },
    none: { kind: 'get', response: { header, kvs: [], more: false, count: '0' } },
    'awkward pairs, more to come': {
      kind: 'get',
      response: {
        header,
        kvs: [
          pair('a\tb', 'quote " back \\ <&>', { lease: leaseId }),
          pair(' led by space', 'дом 日本 😀'),
          pair(Buffer.of(0x6b, 0xff, 0xc3), Buffer.of(0x1b, 0x5b, 0x31, 0x6d)),
          pair('"', '', { lease: '-1' }),
        ],
        more: true,
        count: '9007199254740993',
      },
    },
    'values only': {
      kind: 'get',
      response: { header, kvs: [pair('a', '1'), pair('b', '2')], more: false, count: '2' },
      valuesOnly: true,
    },
  },
  del: {
    missing: { kind: 'del', response: { header, deleted: '0', prev_kvs: [] } },
    'previous pairs': {
      kind: 'del',
      response: { header, deleted: '2', prev_kvs: [pair('a', '1'), pair('b', '')] },
    },
  },
  txn: {
    success: {
      kind: 'txn',
      response: {
        header: { ...header, revision: '12' },
        succeeded: true,
        responses: [
          { response_put: { header: inner, prev_kv: undefined } },
          { response_delete_range: { header: inner, deleted: '0', prev_kvs: [] } },
          { response_range: { header: inner, kvs: [pair('k', 'v')], more: false, count: '1' } },
          { response_range: { header: inner, kvs: [], more: false, count: '0' } },
        ],
      },
    },
    'failure, transaction inside': {
      kind: 'txn',
      response: {
        header,
        succeeded: false,
        responses: [
          {
            response_txn: {
              header: { ...inner, revision: '0' },
              succeeded: true,
              responses: [{ response_put: { header: inner, prev_kv: pair('k', 'old') } }],
            },
          },
        ],
      },
    },
  },
  watch: {
    'put and delete': {
      kind: 'watch',
      response: {
        ...watchAnswer,
        events: [
          { type: 0, kv: pair('foo', 'new'), prev_kv: pair('foo', 'old') },
          { type: 1, kv: deleted('foo'), prev_kv: undefined },
        ],
      },
    },
    'delete alone': {
      kind: 'watch',
      response: {
        ...watchAnswer,
        header: { ...header, revision: '14' },
        events: [{ type: 1, kv: deleted('lv'), prev_kv: undefined }],
      },
    },
    progress: { kind: 'watch', response: watchAnswer },
    'refused at once': {
      kind: 'watch',
      response: {
        ...watchAnswer,
        header: { cluster_id: '0', member_id: '0', revision: '0', raft_term: '0' },
        canceled: true,
      },
    },
    compacted: {
      kind: 'watch',
      response: {
        ...watchAnswer,
        header: bare,
        watch_id: '7',
        canceled: true,
        compact_revision: '9',
        cancel_reason: 'etcdserver: mvcc: required revision has been compacted',
      },
    },
  },
  leaseGrant: {
    granted: { kind: 'leaseGrant', response: { header, ID: leaseId, TTL: '200', error: '' } },
    'small id': { kind: 'leaseGrant', response: { header, ID: '31', TTL: '1', error: '' } },
  },
  leaseRevoke: {
    revoked: { kind: 'leaseRevoke', response: { header }, leaseId },
  },
  leaseKeepAlive: {
    renewed: { kind: 'leaseKeepAlive', response: { header, ID: leaseId, TTL: '60' } },
  },
  leaseKeepAliveEnd: {
    gone: { kind: 'leaseKeepAliveEnd', leaseId },
  },
  leaseTimeToLive: {
    'without keys': {
      kind: 'leaseTimeToLive',
      response: { header, ID: leaseId, TTL: '59', grantedTTL: '60', keys: [] },
      withKeys: false,
    },
    'with keys': {
      kind: 'leaseTimeToLive',
      response: {
        header,
        ID: leaseId,
        TTL: '59',
        grantedTTL: '60',
        keys: [Buffer.from('a'), Buffer.from('b\t')],
      },
      withKeys: true,
    },
    'asked for keys, has none': {
      kind: 'leaseTimeToLive',
      response: { header, ID: leaseId, TTL: '59', grantedTTL: '60', keys: [] },
      withKeys: true,
    },
    expired: {
      kind: 'leaseTimeToLive',
      response: { header, ID: leaseId, TTL: '-1', grantedTTL: '0', keys: [] },
      withKeys: false,
    },
  },
  leaseList: {
    two: { kind: 'leaseList', response: { header, leases: [{ ID: leaseId }, { ID: '31' }] } },
    none: { kind: 'leaseList', response: { header, leases: [] } },
  },
  memberList: {
    'started and not': { kind: 'memberList', response: { header: bare, members } },
    'nothing at all': { kind: 'memberList', response: { header: undefined, members: [] } },
  },
  memberAdd: {
    voter: {
      kind: 'memberAdd',
      response: { header: bare, member: member({ ID: '31', name: '' }), members },
      name: 'infra2',
      peerUrls: 'http://127.0.0.1:12380',
    },
    learner: {
      kind: 'memberAdd',
      response: { header: bare, member: members[1], members },
      name: 'say "hi"',
      peerUrls: 'http://127.0.0.1:22380,http://127.0.0.1:22381',
    },
  },
  memberRemove: {
    removed: { kind: 'memberRemove', response: { header: bare, members }, memberId: '31' },
  },
  memberUpdate: {
    updated: { kind: 'memberUpdate', response: { header: bare, members }, memberId: '31' },
  },
  memberPromote: {
    promoted: { kind: 'memberPromote', response: { header: bare, members: [] }, memberId: '31' },
  },
  endpointHealth: {
    'good and bad': {
      kind: 'endpointHealth',
      rows: [
        { endpoint: '127.0.0.1:2379', health: true, tookNs: 2_343_539n, error: '' },
        {
          endpoint: '127.0.0.1:22379',
          health: false,
          tookNs: 1_000_925_287n,
          error: 'context deadline exceeded',
        },
        {
          endpoint: '127.0.0.1:32379',
          health: false,
          tookNs: 938_125n,
          error: 'Active Alarm(s): NOSPACE ',
        },
        { endpoint: 'nowhere', health: false, tookNs: undefined, error: 'no client' },
      ],
    },
    'no endpoint': { kind: 'endpointHealth', rows: [] },
  },
  endpointStatus: {
    leader: {
      kind: 'endpointStatus',
      rows: [{ endpoint: '127.0.0.1:2379', response: status }],
    },
    'learner in trouble': {
      kind: 'endpointStatus',
      rows: [
        {
          endpoint: 'http://[::1]:2379',
          response: {
            ...status,
            header: { ...header, member_id: '31' },
            version: '3.4.23',
            isLearner: true,
            storageVersion: '',
            errors: ['etcdserver: no leader', 'memberID:31 alarm:NOSPACE '],
            dbSizeQuota: '0',
            downgradeInfo: { enabled: true, targetVersion: '3.6.0' },
          },
        },
      ],
    },
    'old server': {
      kind: 'endpointStatus',
      rows: [
        {
          endpoint: 'old',
          response: { ...status, dbSize: '0', dbSizeInUse: '0', downgradeInfo: undefined },
        },
      ],
    },
    'only failures': { kind: 'endpointStatus', rows: [] },
  },
  endpointHashKv: {
    one: {
      kind: 'endpointHashKv',
      rows: [
        {
          endpoint: '127.0.0.1:2379',
          response: { header, hash: 4084433347, compact_revision: '-1', hash_revision: '13' },
        },
      ],
    },
    'only failures': { kind: 'endpointHashKv', rows: [] },
  },
  moveLeader: {
    moved: {
      kind: 'moveLeader',
      response: { header: undefined },
      fromId: '10276657743932975437',
      toId: '31',
    },
  },
  downgrade: {
    enabled: { kind: 'downgrade', response: { header: bare, version: '3.7' }, action: 'enable' },
  },
  alarm: {
    several: {
      kind: 'alarm',
      response: {
        header: bare,
        alarms: [
          { memberID: '10276657743932975437', alarm: 1 },
          { memberID: '0', alarm: 2 },
          { memberID: '5', alarm: 0 },
        ],
      },
    },
    'none, from a 3.4 server': { kind: 'alarm', response: { header: undefined, alarms: [] } },
  },
  roleAdd: { added: { kind: 'roleAdd', response: { header }, role: 'ops' } },
  roleDelete: { deleted: { kind: 'roleDelete', response: { header }, role: 'ops' } },
  roleGet: {
    'every form of range': {
      kind: 'roleGet',
      role: 'ops',
      response: {
        header,
        perm: [
          { permType: READ, key: Buffer.from('foo'), range_end: none },
          { permType: WRITE, key: Buffer.from('a'), range_end: Buffer.from('c') },
          { permType: READWRITE, key: Buffer.from('dir/'), range_end: Buffer.from('dir0') },
          { permType: READ, key: Buffer.from('m'), range_end: openEnd },
          { permType: READ, key: Buffer.of(0xff, 0xff), range_end: openEnd },
          { permType: WRITE, key: none, range_end: openEnd },
        ],
      },
    },
    'root without permissions': { kind: 'roleGet', role: 'root', response: { header, perm: [] } },
    'other without permissions': { kind: 'roleGet', role: 'new', response: { header, perm: [] } },
  },
  roleList: {
    names: { kind: 'roleList', response: { header, roles: ['a<b', 'ctl\b\f', 'ops', 'root'] } },
    none: { kind: 'roleList', response: { header, roles: [] } },
  },
  roleGrantPermission: {
    granted: { kind: 'roleGrantPermission', response: { header }, role: 'ops' },
  },
  roleRevokePermission: {
    key: {
      kind: 'roleRevokePermission',
      response: { header },
      role: 'ops',
      key: Buffer.from('foo'),
      rangeEnd: none,
    },
    range: {
      kind: 'roleRevokePermission',
      response: { header },
      role: 'ops',
      key: Buffer.from('a'),
      rangeEnd: Buffer.from('c'),
    },
    everything: {
      kind: 'roleRevokePermission',
      response: { header },
      role: 'ops',
      key: none,
      rangeEnd: openEnd,
    },
  },
  userAdd: { added: { kind: 'userAdd', response: { header }, user: 'alice' } },
  userDelete: { deleted: { kind: 'userDelete', response: { header }, user: 'alice' } },
  userGet: {
    'two roles': { kind: 'userGet', response: { header, roles: ['ops', 'root'] }, user: 'alice' },
    'no role': { kind: 'userGet', response: { header, roles: [] }, user: 'bob' },
  },
  userDetail: {
    'one role': {
      kind: 'userDetail',
      user: 'alice',
      roles: [
        {
          role: 'ops',
          response: {
            header,
            perm: [{ permType: READ, key: Buffer.from('foo'), range_end: none }],
          },
        },
      ],
    },
    'no role': { kind: 'userDetail', user: 'bob', roles: [] },
  },
  userList: {
    two: { kind: 'userList', response: { header, users: ['alice', 'root'] } },
  },
  userPasswd: { changed: { kind: 'userPasswd', response: { header } } },
  userGrantRole: {
    granted: { kind: 'userGrantRole', response: { header }, user: 'alice', role: 'ops' },
  },
  userRevokeRole: {
    revoked: { kind: 'userRevokeRole', response: { header }, user: 'alice', role: 'ops' },
  },
  authStatus: {
    enabled: {
      kind: 'authStatus',
      response: { header: bare, enabled: true, authRevision: '7' },
    },
  },
  snapshotStatus: {
    'of 3.7': {
      kind: 'snapshotStatus',
      status: {
        hash: 0x7ef846e,
        revision: 485261,
        totalKey: 11642,
        totalSize: 94_000_000,
        version: '3.7.0',
      },
    },
    'before 3.6': {
      kind: 'snapshotStatus',
      status: { hash: 350546935, revision: 7, totalKey: 10, totalSize: 20480, version: '' },
    },
  },
  snapshotHashKv: {
    'never compacted': {
      kind: 'snapshotHashKv',
      hash: { hash: 4084433347, hashRevision: 13, compactRevision: -1 },
    },
  },
  snapshotVerify: {
    sound: {
      kind: 'snapshotVerify',
      report: { digest: 'valid', findings: [], findingCount: 0 },
    },
    damaged: {
      kind: 'snapshotVerify',
      report: {
        digest: 'wrong',
        findings: [
          { offset: 8192, what: 'page 99, expected page 2' },
          { offset: 20490, what: 'key "a" is no revision' },
        ],
        findingCount: 102,
      },
    },
  },
}
