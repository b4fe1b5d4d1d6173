// sheets.ts: the columns and cells of every result that has a table.
//
// member list, the endpoint commands and those on snapshot files have etcdctl's tables. etcdctl
// has none for the rest and fails; where a table makes sense there is one here all the same. In
// those a key or value is shown as it is when it is printable text, else quoted as Go quotes it,
// so that bytes cannot break the box or the terminal. What has no entry has no table.

import type { KeyValue } from '../api/gen/kv.js'
import { ByteText } from './byte-text.js'
import { durationText } from './duration.js'
import { alarmName, eventName, permissionName } from './enum-names.js'
import { hexId, zeroPaddedId } from './hex-id.js'
import { isOpenEnd, permissionsOf } from './permission.js'
import { isPrintable, quoted } from './quote.js'
import type { Result, ResultKind, ResultOf } from './result.js'
import { hashKvRows, memberRows, snapshotHashKvRow, snapshotStatusRow, statusRows } from './rows.js'

export interface Sheet {
  columns: readonly string[]
  rows: readonly (readonly string[])[]
  /** Columns that are aligned left; the others stand right, as in etcdctl. */
  left?: readonly string[]
}

/** The function that lays results out; undefined for a result without a table. */
export function newSheets({ hex }: { hex: boolean }): (result: Result) => Sheet | undefined {
  const show: Show = hex ? hexText : plainText
  return (result) => {
    // The kind picked the entry, so the entry fits the result; the compiler cannot follow that.
    const sheet = sheets[result.kind] as ((result: Result, show: Show) => Sheet) | undefined
    return sheet?.(result, show)
  }
}

/** How a key or value is written in a cell. */
type Show = (bytes: Buffer) => string

const hexText: Show = (bytes) => new ByteText({ hex: true }).data(bytes).done().toString('latin1')

// A text that could be mistaken for a quoted one, or that the trimming of cells would change, is
// quoted as well.
function plainText(bytes: Buffer): string {
  const text = bytes.toString()
  return isPrintable(bytes) && text === text.trim() && !text.startsWith('"') ? text : quoted(bytes)
}

const nameText = (name: string): string => plainText(Buffer.from(name))

const pairColumns = ['KEY', 'VALUE', 'CREATE REVISION', 'MOD REVISION', 'VERSION', 'LEASE']

const sheets: { [K in ResultKind]?: (result: ResultOf<K>, show: Show) => Sheet } = {
  memberList: (result) => ({
    columns: ['ID', 'STATUS', 'NAME', 'PEER ADDRS', 'CLIENT ADDRS', 'IS LEARNER'],
    rows: memberRows(result),
  }),
  endpointHealth: ({ rows }) => ({
    columns: ['ENDPOINT', 'HEALTH', 'TOOK', 'ERROR'],
    rows: rows.map(({ endpoint, health, tookNs, error }) => [
      endpoint,
      String(health),
      tookNs === undefined ? '' : durationText(tookNs),
      error,
    ]),
  }),
  endpointStatus: (result) => ({ columns: statusColumns, rows: statusRows(result) }),
  endpointHashKv: (result) => ({
    columns: ['ENDPOINT', 'HASH', 'HASH REVISION'],
    rows: hashKvRows(result),
  }),
  snapshotStatus: (result) => ({
    columns: ['HASH', 'REVISION', 'TOTAL KEYS', 'TOTAL SIZE', 'VERSION'],
    rows: [snapshotStatusRow(result)],
  }),
  snapshotHashKv: (result) => ({
    columns: ['HASH', 'HASH REVISION', 'COMPACT REVISION'],
    rows: [snapshotHashKvRow(result)],
  }),
  snapshotVerify: ({ report: { digest, findings } }) => ({
    columns: ['DIGEST', 'OFFSET', 'FINDING'],
    rows:
      findings.length === 0
        ? [[digest, '', 'none']]
        : findings.map(({ offset, what }) => [digest, String(offset), what]),
    left: ['FINDING'],
  }),
  get: ({ response }, show) => ({
    columns: pairColumns,
    rows: response.kvs.map((kv) => pairCells(kv, show)),
    left: ['KEY', 'VALUE'],
  }),
  watch: (result, show) => watch(result, show),
  leaseGrant: ({ response: { ID, TTL } }) => ({
    columns: ['ID', 'TTL'],
    rows: [[zeroPaddedId(ID), TTL]],
  }),
  leaseKeepAlive: ({ response: { ID, TTL } }) => ({
    columns: ['ID', 'TTL'],
    rows: [[zeroPaddedId(ID), TTL]],
  }),
  leaseTimeToLive: (result, show) => timeToLive(result, show),
  leaseList: ({ response }) => ({
    columns: ['ID'],
    rows: response.leases.map(({ ID }) => [zeroPaddedId(ID)]),
  }),
  alarm: ({ response }) => ({
    columns: ['MEMBER ID', 'ALARM'],
    rows: response.alarms.map(({ memberID, alarm }) => [hexId(memberID), alarmName(alarm)]),
  }),
  roleList: ({ response }) => ({
    columns: ['ROLE'],
    rows: response.roles.map((role) => [nameText(role)]),
    left: ['ROLE'],
  }),
  roleGet: ({ role, response }, show) => ({
    columns: ['ROLE', 'PERMISSION', 'KEY', 'RANGE END'],
    rows: permissionsOf(role, response).map(({ permType, key, range_end: rangeEnd }) => [
      nameText(role),
      permissionName(permType),
      show(key),
      isOpenEnd(rangeEnd) ? '<open ended>' : show(rangeEnd),
    ]),
    left: ['ROLE', 'PERMISSION', 'KEY', 'RANGE END'],
  }),
  userList: ({ response }) => ({
    columns: ['USER'],
    rows: response.users.map((user) => [nameText(user)]),
    left: ['USER'],
  }),
  userGet: ({ user, response }) => ({
    columns: ['USER', 'ROLES'],
    rows: [[nameText(user), response.roles.map(nameText).join(', ')]],
    left: ['USER', 'ROLES'],
  }),
}

const statusColumns = [
  'ENDPOINT',
  'ID',
  'VERSION',
  'STORAGE VERSION',
  'DB SIZE',
  'IN USE',
  'PERCENTAGE NOT IN USE',
  'QUOTA',
  'IS LEADER',
  'IS LEARNER',
  'RAFT TERM',
  'RAFT INDEX',
  'RAFT APPLIED INDEX',
  'ERRORS',
  'DOWNGRADE TARGET VERSION',
  'DOWNGRADE ENABLED',
]

const pairCells = (kv: KeyValue, show: Show): string[] => [
  show(kv.key),
  show(kv.value),
  kv.create_revision,
  kv.mod_revision,
  kv.version,
  kv.lease === '0' ? '' : zeroPaddedId(kv.lease),
]

/** The column with the state before the event is there when the watch asked for it. */
function watch({ response: { events } }: ResultOf<'watch'>, show: Show): Sheet {
  const withPrevious = events.some((event) => event.prev_kv !== undefined)
  return {
    columns: ['EVENT', ...pairColumns, ...(withPrevious ? ['PREVIOUS VALUE'] : [])],
    rows: events.map(({ type, kv, prev_kv: previous }) => [
      eventName(type),
      ...(kv ? pairCells(kv, show) : pairColumns.map(() => '')),
      ...(withPrevious ? [previous ? show(previous.value) : ''] : []),
    ]),
    left: ['EVENT', 'KEY', 'VALUE', 'PREVIOUS VALUE'],
  }
}

function timeToLive({ response, withKeys }: ResultOf<'leaseTimeToLive'>, show: Show): Sheet {
  const { ID, TTL, grantedTTL, keys } = response
  const isGone = grantedTTL === '0' && TTL === '-1'
  const cells = isGone ? ['', 'expired'] : [grantedTTL, TTL]
  return {
    columns: ['ID', 'GRANTED TTL', 'REMAINING', ...(withKeys ? ['KEYS'] : [])],
    rows: [[zeroPaddedId(ID), ...cells, ...(withKeys ? [keys.map(show).join('\n')] : [])]],
    left: ['KEYS'],
  }
}
