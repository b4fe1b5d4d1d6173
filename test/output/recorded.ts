// recorded.ts: the transcripts of a real etcdctl, and the results that must have been behind them.
//
// A recorded protobuf answer is the message itself. A recorded JSON answer holds the same facts
// under the same names, so the message can be made from it as well: integers are kept as digits,
// bytes are base64, and what is missing has its zero value.

import { readdirSync, readFileSync } from 'node:fs'
import { Permission } from '../../src/api/gen/auth.js'
import { Event, KeyValue } from '../../src/api/gen/kv.js'
import * as rpc from '../../src/api/gen/rpc.js'
import type { Result } from '../../src/output/format.js'

export interface Case {
  file: string
  name: string
  family?: string
  format: string
  argv: string[]
  argv_b64?: string[]
  exit?: number
  stdout_b64?: string
  stdout_text?: string
  stderr_text?: string
  differs_3_7?: string
}

const folder = new URL('../../fixtures/golden/etcdctl-3.4/', import.meta.url)

/** Every case that has an expectation, in the order of the files. */
export const recordedCases: readonly Case[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) =>
    (JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Omit<Case, 'file'>[]).map(
      (one) => ({ ...one, file }),
    ),
  )
  .filter((one) => one.stdout_b64 !== undefined)

export const stdoutOf = (one: Case): Buffer => Buffer.from(one.stdout_b64 ?? '', 'base64')

/** The result that a command printed, from the bytes or the JSON that it printed. */
export function resultOf(one: Case, source: Case): Result | undefined {
  const words = one.argv
  const entry = commands[words.slice(0, 2).join(' ')] ?? commands[words[0] ?? '']
  if (entry === undefined) return undefined
  const [codec, result] = entry
  const output = stdoutOf(source)
  const response =
    source.format === 'protobuf'
      ? codec.decode(output)
      : messageFrom(codec, exactNumbers(output.toString()))
  return result(response as never, words)
}

interface Codec {
  decode(bytes: Buffer): object
}

type Entry = readonly [Codec, (response: never, words: string[]) => Result]

const entry = <T extends object>(
  codec: { decode(bytes: Buffer): T },
  result: (response: T, words: string[]) => Result,
): Entry => [codec, result]

const commands: Readonly<Record<string, Entry>> = {
  get: entry(rpc.RangeResponse, (response) => ({ kind: 'get', response })),
  lock: entry(rpc.RangeResponse, (response) => ({ kind: 'get', response })),
  elect: entry(rpc.RangeResponse, (response) => ({ kind: 'get', response })),
  put: entry(rpc.PutResponse, (response) => ({ kind: 'put', response })),
  del: entry(rpc.DeleteRangeResponse, (response) => ({ kind: 'del', response })),
  txn: entry(rpc.TxnResponse, (response) => ({ kind: 'txn', response })),
  watch: entry(rpc.WatchResponse, (response) => ({ kind: 'watch', response })),
  'lease grant': entry(rpc.LeaseGrantResponse, (response) => ({ kind: 'leaseGrant', response })),
  'lease revoke': entry(rpc.LeaseRevokeResponse, (response) => ({
    kind: 'leaseRevoke',
    response,
    leaseId: '0',
  })),
  'lease keep-alive': entry(rpc.LeaseKeepAliveResponse, (response) => ({
    kind: 'leaseKeepAlive',
    response,
  })),
  'lease timetolive': entry(rpc.LeaseTimeToLiveResponse, (response, words) => ({
    kind: 'leaseTimeToLive',
    response,
    withKeys: words.includes('--keys'),
  })),
  'lease list': entry(rpc.LeaseLeasesResponse, (response) => ({ kind: 'leaseList', response })),
  'member list': entry(rpc.MemberListResponse, (response) => ({ kind: 'memberList', response })),
  'member add': entry(rpc.MemberAddResponse, (response) => ({
    kind: 'memberAdd',
    response,
    name: '',
    peerUrls: '',
  })),
  'member remove': entry(rpc.MemberRemoveResponse, (response) => ({
    kind: 'memberRemove',
    response,
    memberId: '0',
  })),
  'member update': entry(rpc.MemberUpdateResponse, (response) => ({
    kind: 'memberUpdate',
    response,
    memberId: '0',
  })),
  'move-leader': entry(rpc.MoveLeaderResponse, (response) => ({
    kind: 'moveLeader',
    response,
    fromId: '0',
    toId: '0',
  })),
  alarm: entry(rpc.AlarmResponse, (response) => ({ kind: 'alarm', response })),
  'role add': entry(rpc.AuthRoleAddResponse, (response) => ({
    kind: 'roleAdd',
    response,
    role: '',
  })),
  'role delete': entry(rpc.AuthRoleDeleteResponse, (response) => ({
    kind: 'roleDelete',
    response,
    role: '',
  })),
  'role get': entry(rpc.AuthRoleGetResponse, (response, words) => ({
    kind: 'roleGet',
    response,
    role: words[2] ?? '',
  })),
  'role list': entry(rpc.AuthRoleListResponse, (response) => ({ kind: 'roleList', response })),
  'role revoke-permission': entry(rpc.AuthRoleRevokePermissionResponse, (response) => ({
    kind: 'roleRevokePermission',
    response,
    role: '',
    key: Buffer.alloc(0),
    rangeEnd: Buffer.alloc(0),
  })),
  'user add': entry(rpc.AuthUserAddResponse, (response) => ({
    kind: 'userAdd',
    response,
    user: '',
  })),
  'user delete': entry(rpc.AuthUserDeleteResponse, (response) => ({
    kind: 'userDelete',
    response,
    user: '',
  })),
  'user get': entry(rpc.AuthUserGetResponse, (response, words) => ({
    kind: 'userGet',
    response,
    user: words[2] ?? '',
  })),
  'user list': entry(rpc.AuthUserListResponse, (response) => ({ kind: 'userList', response })),
  'user passwd': entry(rpc.AuthUserChangePasswordResponse, (response) => ({
    kind: 'userPasswd',
    response,
  })),
  'user grant-role': entry(rpc.AuthUserGrantRoleResponse, (response) => ({
    kind: 'userGrantRole',
    response,
    user: '',
    role: '',
  })),
  'user revoke-role': entry(rpc.AuthUserRevokeRoleResponse, (response) => ({
    kind: 'userRevokeRole',
    response,
    user: '',
    role: '',
  })),
}

/** Nanoseconds of a recorded duration, which are all given in ms or s. */
export function nanoseconds(took: string): bigint {
  const [, whole = '0', fraction = '', unit] = /^(\d+)\.?(\d*)(ms|s)$/.exec(took) ?? []
  return BigInt(whole + fraction.padEnd(unit === 's' ? 9 : 6, '0'))
}

/** Parses JSON with every integer as its digits, since some exceed what a double holds. */
export function exactNumbers(text: string): unknown {
  return JSON.parse(text.replace(/(?<=[:[,])-?\d+(?=[,}\]])/g, '"$&"'))
}

const nested: Readonly<Record<string, Codec>> = {
  header: rpc.ResponseHeader,
  kvs: KeyValue,
  kv: KeyValue,
  prev_kv: KeyValue,
  prev_kvs: KeyValue,
  events: Event,
  members: rpc.Member,
  member: rpc.Member,
  alarms: rpc.AlarmMember,
  leases: rpc.LeaseStatus,
  perm: Permission,
  responses: rpc.ResponseOp,
  response_range: rpc.RangeResponse,
  response_put: rpc.PutResponse,
  response_delete_range: rpc.DeleteRangeResponse,
  response_txn: rpc.TxnResponse,
  downgradeInfo: rpc.DowngradeInfo,
}

/** Names that differ between the JSON of a client struct and the message behind it. */
const renamed: Readonly<Record<string, string>> = {
  Header: 'header',
  Events: 'events',
  CompactRevision: 'compact_revision',
  Canceled: 'canceled',
  Created: 'created',
  CancelReason: 'cancel_reason',
  id: 'ID',
  ttl: 'TTL',
  'granted-ttl': 'grantedTTL',
  Error: 'error',
  ResponseRange: 'response_range',
  ResponsePut: 'response_put',
  ResponseDeleteRange: 'response_delete_range',
  ResponseTxn: 'response_txn',
}

const headerFields = ['cluster_id', 'member_id', 'revision', 'raft_term']

export function messageFrom(codec: Codec, json: unknown): object {
  const message = codec.decode(Buffer.alloc(0)) as Record<string, unknown>
  for (const [key, value] of Object.entries(json as object)) {
    const name = renamed[key] ?? key
    if (value === null) continue
    // Lease answers carry the fields of their header flattened into themselves.
    if (headerFields.includes(name) && 'header' in message) {
      message.header ??= rpc.ResponseHeader.decode(Buffer.alloc(0))
      Object.assign(message.header as object, { [name]: value })
    } else {
      message[name] = valueFrom(name, value, message[name])
    }
  }
  return message
}

function valueFrom(name: string, value: unknown, zero: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => {
      if (name === 'keys') return Buffer.from(item, 'base64')
      const codec = nested[name]
      // An operation of a transaction is one level deeper in JSON.
      return codec ? messageFrom(codec, name === 'responses' ? item.Response : item) : item
    })
  }
  const codec = nested[name]
  if (codec) return messageFrom(codec, value)
  if (Buffer.isBuffer(zero)) return Buffer.from(String(value), 'base64')
  return typeof zero === 'number' ? Number(value) : value
}
