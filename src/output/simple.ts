// simple.ts: the default format, lines for people and shell scripts.
//
// A key or value is written as it is, followed by a line feed, also when it is empty: scripts
// count lines. With --hex each of its bytes becomes \xHH; nothing else changes.

import type { KeyValue } from '../api/gen/kv.js'
import { AlarmType, type TxnResponse } from '../api/gen/rpc.js'
import { ByteText } from './byte-text.js'
import { durationText } from './duration.js'
import { alarmName, eventName, permissionName } from './enum-names.js'
import { hexId, spacePaddedId, zeroPaddedId } from './hex-id.js'
import { addRange, isPrefix, permissionsOf } from './permission.js'
import { progressLine } from './progress.js'
import { quoted } from './quote.js'
import { rangePieces } from './raw-range.js'
import type { EndpointHealth, Format, Result, ResultKind, ResultOf } from './result.js'
import { hashKvRows, memberRows, snapshotHashKvRow, snapshotStatusRow, statusRows } from './rows.js'
import { userDetail } from './user-detail.js'

export function newSimple({ hex }: { hex: boolean }): Format {
  const print: Format['print'] = (result) => {
    if (result.kind === 'endpointHealth') return health(result.rows)
    if (result.kind === 'userDetail') return userDetail(result, print)
    const out = new ByteText({ hex })
    // The kind picked the entry, so the entry fits the result; the compiler cannot follow that.
    const add = texts[result.kind] as (out: ByteText, result: Result) => unknown
    add(out, result)
    return { stdout: out.done() }
  }
  return {
    print,
    printRange: (message, { valuesOnly }) =>
      rangePieces(message, { form: hex ? 'hex' : 'plain', valuesOnly }),
  }
}

type TextKind = Exclude<ResultKind, 'endpointHealth' | 'userDetail'>

const texts: { [K in TextKind]: (out: ByteText, result: ResultOf<K>) => unknown } = {
  put: (out, { response }) => {
    out.text('OK\n')
    if (response.prev_kv) pair(out, response.prev_kv)
  },
  get: (out, { response, valuesOnly }) => {
    for (const kv of response.kvs) {
      if (valuesOnly !== true) out.line(kv.key)
      out.line(kv.value)
    }
  },
  del: (out, { response }) => {
    out.text(`${response.deleted}\n`)
    for (const kv of response.prev_kvs) pair(out, kv)
  },
  txn: (out, { response }) => txn(out, response),
  watch: (out, { response }) => {
    out.text(progressLine(response))
    for (const { type, kv, prev_kv: previous } of response.events) {
      out.text(`${eventName(type)}\n`)
      if (previous) pair(out, previous)
      if (kv) pair(out, kv)
    }
  },
  leaseGrant: (out, { response: { ID, TTL } }) =>
    out.text(`lease ${zeroPaddedId(ID)} granted with TTL(${TTL}s)\n`),
  leaseRevoke: (out, { leaseId }) => out.text(`lease ${zeroPaddedId(leaseId)} revoked\n`),
  leaseKeepAlive: (out, { response: { ID, TTL } }) =>
    out.text(`lease ${zeroPaddedId(ID)} keepalived with TTL(${TTL})\n`),
  leaseKeepAliveEnd: (out, { leaseId }) =>
    out.text(`lease ${zeroPaddedId(leaseId)} expired or revoked.\n`),
  leaseTimeToLive: (out, result) => timeToLive(out, result),
  leaseList: (out, { response: { leases } }) => {
    out.text(`found ${leases.length} leases\n`)
    for (const { ID } of leases) out.text(`${zeroPaddedId(ID)}\n`)
  },
  memberList: (out, result) => rows(out, memberRows(result)),
  memberAdd: (out, result) => memberAdd(out, result),
  memberRemove: (out, result) => out.text(memberChange(result, 'removed from')),
  memberUpdate: (out, result) => out.text(memberChange(result, 'updated in')),
  memberPromote: (out, result) => out.text(memberChange(result, 'promoted in')),
  endpointStatus: (out, result) => rows(out, statusRows(result)),
  endpointHashKv: (out, result) => rows(out, hashKvRows(result)),
  moveLeader: (out, { fromId, toId }) =>
    out.text(`Leadership transferred from ${hexId(fromId)} to ${hexId(toId)}\n`),
  downgrade: (out, { action, response }) =>
    out.text(`Downgrade ${action} success, cluster version ${response.version}\n`),
  alarm: (out, { response }) => {
    for (const { memberID, alarm } of response.alarms) out.text(`${alarmText(memberID, alarm)}\n`)
  },
  roleAdd: (out, { role }) => out.text(`Role ${role} created\n`),
  roleDelete: (out, { role }) => out.text(`Role ${role} deleted\n`),
  roleGet: (out, result) => roleGet(out, result),
  roleList: (out, { response }) => names(out, response.roles),
  roleGrantPermission: (out, { role }) => out.text(`Role ${role} updated\n`),
  roleRevokePermission: (out, { role, key, rangeEnd }) => {
    out.text(rangeEnd.length === 0 ? 'Permission of key ' : 'Permission of range ')
    addRange(out, key, rangeEnd).text(` is revoked from role ${role}\n`)
  },
  userAdd: (out, { user }) => out.text(`User ${user} created\n`),
  userDelete: (out, { user }) => out.text(`User ${user} deleted\n`),
  userGet: (out, { user, response }) =>
    out.text(`User: ${user}\nRoles:${response.roles.map((role) => ` ${role}`).join('')}\n`),
  userList: (out, { response }) => names(out, response.users),
  userPasswd: (out) => out.text('Password updated\n'),
  userGrantRole: (out, { user, role }) => out.text(`Role ${role} is granted to user ${user}\n`),
  userRevokeRole: (out, { user, role }) => out.text(`Role ${role} is revoked from user ${user}\n`),
  authStatus: (out, { response: { enabled, authRevision } }) =>
    out.text(`Authentication Status: ${enabled}\nAuthRevision: ${authRevision}\n`),
  snapshotStatus: (out, result) => rows(out, [snapshotStatusRow(result)]),
  snapshotHashKv: (out, result) => rows(out, [snapshotHashKvRow(result)]),
  snapshotVerify: (out, { report: { digest, findings, findingCount } }) => {
    out.text(`digest ${digest}, ${findingCount} problems\n`)
    for (const { offset, what } of findings) out.text(`at ${offset}: ${what}\n`)
    const more = findingCount - findings.length
    if (more > 0) out.text(`and ${more} more\n`)
  },
}

function pair(out: ByteText, { key, value }: KeyValue): void {
  out.line(key).line(value)
}

const rows = (out: ByteText, cells: string[][]): unknown =>
  out.text(cells.map((row) => `${row.join(', ')}\n`).join(''))

const names = (out: ByteText, list: readonly string[]): unknown =>
  out.text(list.map((name) => `${name}\n`).join(''))

function txn(out: ByteText, { succeeded, responses }: TxnResponse): void {
  out.text(succeeded ? 'SUCCESS\n' : 'FAILURE\n')
  for (const operation of responses) {
    out.text('\n')
    if (operation.response_range) {
      for (const kv of operation.response_range.kvs) pair(out, kv)
    }
    if (operation.response_put) {
      texts.put(out, { kind: 'put', response: operation.response_put })
    }
    if (operation.response_delete_range) {
      texts.del(out, { kind: 'del', response: operation.response_delete_range })
    }
    if (operation.response_txn) txn(out, operation.response_txn)
  }
}

function timeToLive(out: ByteText, { response, withKeys }: ResultOf<'leaseTimeToLive'>): void {
  const { ID, TTL, grantedTTL, keys } = response
  if (grantedTTL === '0' && TTL === '-1') {
    out.text(`lease ${zeroPaddedId(ID)} already expired\n`)
    return
  }
  out.text(`lease ${zeroPaddedId(ID)} granted with TTL(${grantedTTL}s), remaining(${TTL}s)`)
  if (withKeys) {
    out.text(', attached keys([')
    keys.forEach((key, index) => {
      out.text(index === 0 ? '' : ' ').bytes(key)
    })
    out.text('])')
  }
  out.text('\n')
}

function memberAdd(out: ByteText, { response, name, peerUrls }: ResultOf<'memberAdd'>): void {
  const id = response.member?.ID ?? '0'
  const added = response.member?.isLearner ? 'added as learner to' : 'added to'
  out.text(memberChange({ response, memberId: id }, added))
  const cluster = response.members.flatMap((member) =>
    member.peerURLs.map((url) => `${member.ID === id ? name : member.name}=${url}`),
  )
  // The settings with which the new member is started, ready to be sourced by a shell.
  out.text(
    `\nETCD_NAME=${quoted(name)}\n` +
      `ETCD_INITIAL_CLUSTER=${quoted(cluster.join(','))}\n` +
      `ETCD_INITIAL_ADVERTISE_PEER_URLS=${quoted(peerUrls)}\n` +
      'ETCD_INITIAL_CLUSTER_STATE="existing"\n',
  )
}

type MemberChange = Pick<ResultOf<'memberRemove'>, 'response' | 'memberId'>

const memberChange = ({ response, memberId }: MemberChange, change: string): string =>
  `Member ${spacePaddedId(memberId)} ${change} cluster ` +
  `${spacePaddedId(response.header?.cluster_id ?? '0')}\n`

// The text form of a protobuf message: a field that is zero is left out.
function alarmText(memberId: string, alarm: AlarmType): string {
  const member = memberId === '0' ? [] : [`memberID:${memberId}`]
  const type = alarm === AlarmType.NONE ? [] : [`alarm:${alarmName(alarm)}`]
  return [...member, ...type].join(' ')
}

function roleGet(out: ByteText, { role, response }: ResultOf<'roleGet'>): void {
  out.text(`Role ${role}\n`)
  for (const access of ['READ', 'WRITE']) {
    out.text(access === 'READ' ? 'KV Read:\n' : 'KV Write:\n')
    for (const permission of permissionsOf(role, response)) {
      if (!permissionName(permission.permType).includes(access)) continue
      addRange(out.text('\t'), permission.key, permission.range_end)
      if (isPrefix(permission)) out.text(' (prefix ').bytes(permission.key).text(')')
      out.text('\n')
    }
  }
}

function health(rows: readonly EndpointHealth[]): { stdout: string; stderr: string } {
  const lines = { stdout: '', stderr: '' }
  for (const { endpoint, tookNs, error } of rows) {
    if (error === '') {
      const took = durationText(tookNs ?? 0n)
      lines.stdout += `${endpoint} is healthy: successfully committed proposal: took = ${took}\n`
    } else {
      lines.stderr += `${endpoint} is unhealthy: failed to commit proposal: ${error}\n`
    }
  }
  return lines
}
