// snap-file.ts: reads and writes member/snap/TERM-INDEX.snap, which says who is in the cluster as
// of one log entry. (A log segment is named the other way round, sequence and index.)
//
//     SnapFile { crc, data }               crc: CRC-32C of data
//       data: raftpb.Snapshot              its metadata: index, term, raft's configuration
//         data: JSON of the v2 tree
//           /0/members/HEXID/raftAttributes     {"peerURLs":[...],"isLearner":true}
//           /0/members/HEXID/attributes         {"name":"...","clientURLs":[...]}, once published
//           /0/removed_members/HEXID            only if any
//           /0/version                          cluster version, only once determined
//           /1                                  always there, always empty
//
// etcd up to 3.5 takes its members from here, 3.6 only raft's configuration, 3.7 nothing. Ids
// stand in names, as hexadecimal text, so plain JSON does not round them.
import { type ConfState, Snapshot } from '../api/gen/raft.js'
import { SnapFile as SnapFileMessage } from '../api/gen/wal.js'
import type { Files } from '../platform/files.js'
import type { Log } from '../platform/log.js'
import { crc32c } from './crc32c.js'
import { CorruptionError } from './errors.js'
import { memberHex, parseMemberHex } from './schema.js'

export interface SnapMember {
  id: bigint
  peerUrls: readonly string[]
  isLearner: boolean
  /** Absent until the member has published itself. */
  attributes?: { name: string; clientUrls: readonly string[] }
}

/** What the v2 tree of a .snap file says of the cluster. */
export interface SnapTree {
  members: readonly SnapMember[]
  removed: readonly bigint[]
  /** Cluster version such as 3.4.0; absent until it was determined. */
  version?: string
}

export interface SnapFile {
  index: number
  term: number
  confState: ConfState
  tree: SnapTree
}

export interface SnapOptions {
  files: Files
  log: Log
}

/** Like etcd's --max-snapshots. */
const snapFilesKept = 5

export function snapFileName({ term, index }: { term: number; index: number }): string {
  return `${hex16(term)}-${hex16(index)}.snap`
}

/** The snapshot as raft sends it: without the database that belongs to it. */
export function raftSnapshot({ index, term, confState, tree }: SnapFile): Snapshot {
  const metadata = { index, term, conf_state: confState }
  return { data: Buffer.from(treeText(tree, index)), metadata }
}

/** Writes the .snap file of `snap` in `dir`: beside, synced, renamed. */
export async function writeSnapFile(
  dir: string,
  snap: SnapFile,
  options: Pick<SnapOptions, 'files'>,
): Promise<void> {
  await writeRaftSnapshot(dir, raftSnapshot(snap), options)
}

/** The same for a snapshot that a leader sent. */
export async function writeRaftSnapshot(
  dir: string,
  snapshot: Snapshot,
  { files }: Pick<SnapOptions, 'files'>,
): Promise<void> {
  const name = snapFileName(snapshot.metadata ?? { term: 0, index: 0 })
  const unfinished = `${dir}/tmp-${name}`
  await files.remove(unfinished)
  const handle = await files.open(unfinished, 'create')
  try {
    await handle.write([encodeSnapshot(snapshot)], 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(unfinished, `${dir}/${name}`)
  await files.syncDir(dir)
}

/**
 * The newest .snap file that is sound and that `usable` accepts (etcd: whose position is among
 * the valid snapshot records of the log). Damaged ones are renamed to `.snap.broken`.
 */
export async function readNewestSnapFile(
  dir: string,
  usable: (position: { index: number; term: number }) => boolean,
  { files, log }: SnapOptions,
): Promise<SnapFile | undefined> {
  for (const name of (await snapFileNames(dir, files)).reverse()) {
    const file = `${dir}/${name}`
    try {
      const snap = decodeSnapFile(file, await files.readFile(file))
      if (usable({ index: snap.index, term: snap.term })) return snap
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      log.warn('renaming a damaged snapshot file', { path: file, error: error.message })
      await files.rename(file, `${file}.broken`)
      await files.syncDir(dir)
    }
  }
  return undefined
}

/** Deletes all but the newest .snap files, and databases from a leader that they overtook. */
export async function purgeSnapFiles(dir: string, { files, log }: SnapOptions): Promise<void> {
  const names = await snapFileNames(dir, files)
  const newest = names.at(-1)?.slice(17, 33) ?? ''
  const received = (await files.list(dir)).filter((name) => /^[0-9a-f]{16}\.snap\.db$/.test(name))
  const overtaken = received.filter((name) => name.slice(0, 16) < newest)
  for (const name of [...names.slice(0, -snapFilesKept), ...overtaken]) {
    await files.remove(`${dir}/${name}`)
    log.info('purged', { path: `${dir}/${name}` })
  }
  await files.syncDir(dir)
}

/** Oldest first: their names have one length, so byte order is the order of term and index. */
async function snapFileNames(dir: string, files: Files): Promise<string[]> {
  const names = await files.list(dir)
  return names.filter((name) => /^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/.test(name))
}

export function encodeSnapFile(snap: SnapFile): Buffer {
  return encodeSnapshot(raftSnapshot(snap))
}

function encodeSnapshot(snapshot: Snapshot): Buffer {
  const data = Snapshot.encode(snapshot).finish()
  return Buffer.from(
    SnapFileMessage.encode({ crc: crc32c(data), data: Buffer.from(data) }).finish(),
  )
}

/** Throws CorruptionError unless all of it checks. `file` is for the message. */
export function decodeSnapFile(file: string, content: Buffer): SnapFile {
  const corrupt = (expected: string, found: string, cause?: unknown) =>
    new CorruptionError('snapshot file', { file, offset: 0, expected, found }, cause)
  const { crc, data } = decoded(() => SnapFileMessage.decode(content), corrupt)
  if (crc === 0 || data === undefined || data.length === 0) {
    throw corrupt('a checksum and data', 'an empty file')
  }
  const actual = crc32c(data)
  if (crc !== actual) throw corrupt(actual.toString(16), `checksum ${crc.toString(16)}`)
  return decoded(() => snapOf(Snapshot.decode(data)), corrupt)
}

/** What a snapshot of raft says of the cluster. @throws Error when it is none of etcd's */
export function snapOf({ data: text, metadata }: Snapshot): SnapFile {
  const confState = metadata?.conf_state
  if (metadata === undefined || confState === undefined) {
    throw new Error('no index, term and configuration')
  }
  const tree = parseTree(text ?? Buffer.alloc(0))
  return { index: metadata.index, term: metadata.term, confState, tree }
}

function decoded<T>(
  decode: () => T,
  corrupt: (expected: string, found: string, cause: unknown) => Error,
): T {
  try {
    return decode()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw corrupt('a snapshot', reason, cause)
  }
}

/** Only what etcd reads back; a list of events that does not fit its capacity would crash it. */
function treeText({ members, removed, version }: SnapTree, index: number): string {
  const memberNodes = members.map((member): Child => [memberHex(member.id), memberNode(member)])
  const children: Child[] = [['members', (at) => dirNode(at, memberNodes)]]
  if (removed.length > 0) {
    const nodes = removed.map((id): Child => [memberHex(id), (at) => fileNode(at, '')])
    children.push(['removed_members', (at) => dirNode(at, nodes)])
  }
  if (version !== undefined) children.push(['version', (at) => fileNode(at, version)])
  const root = dirNode('/', [
    ['0', (at) => dirNode(at, children)],
    ['1', (at) => dirNode(at, [])],
  ])
  return `{"Root":${root},"CurrentIndex":${index},"CurrentVersion":2}`
}

function memberNode({ peerUrls, isLearner, attributes }: SnapMember): Node {
  const raft = JSON.stringify({ peerURLs: peerUrls, ...(isLearner && { isLearner }) })
  const children: Child[] = [['raftAttributes', (at) => fileNode(at, raft)]]
  if (attributes !== undefined) {
    const { name, clientUrls } = attributes
    const value = JSON.stringify({
      ...(name !== '' && { name }),
      ...(clientUrls.length > 0 && { clientURLs: clientUrls }),
    })
    children.push(['attributes', (at) => fileNode(at, value)])
  }
  return (at) => dirNode(at, children)
}

/** The JSON of a node that stands at a path. */
type Node = (path: string) => string
type Child = readonly [name: string, node: Node]

function dirNode(path: string, children: readonly Child[]): string {
  const below = path === '/' ? '' : path
  const texts = children.map(
    ([name, node]) => `${JSON.stringify(name)}:${node(`${below}/${name}`)}`,
  )
  return nodeText(path, '', `{${texts.join(',')}}`)
}

const fileNode = (path: string, value: string): string => nodeText(path, value, 'null')

const nodeText = (path: string, value: string, children: string): string =>
  `{"Path":${JSON.stringify(path)},"CreatedIndex":0,"ModifiedIndex":0,` +
  `"ExpireTime":"0001-01-01T00:00:00Z","Value":${JSON.stringify(value)},"Children":${children}}`

function parseTree(text: Buffer): SnapTree {
  if (text.length === 0) return { members: [], removed: [] }
  const cluster = childOf(field(JSON.parse(text.toString()), 'Root'), '0')
  const version = childOf(cluster, 'version')
  return {
    members: childrenOf(childOf(cluster, 'members')).map(parseMember).sort(byId),
    removed: childrenOf(childOf(cluster, 'removed_members'))
      .map(([name]) => parseId(name))
      .sort((a, b) => (a < b ? -1 : 1)),
    ...(version !== undefined && { version: nodeValue(version) }),
  }
}

const byId = (a: SnapMember, b: SnapMember): number => (a.id < b.id ? -1 : 1)

function parseMember([name, node]: [name: string, node: unknown]): SnapMember {
  const raft = childOf(node, 'raftAttributes')
  const published = childOf(node, 'attributes')
  const raftValue: unknown = raft === undefined ? {} : JSON.parse(nodeValue(raft))
  const member = {
    id: parseId(name),
    peerUrls: textsOf(field(raftValue, 'peerURLs')),
    isLearner: field(raftValue, 'isLearner') === true,
  }
  if (published === undefined) return member
  const value: unknown = JSON.parse(nodeValue(published))
  const given = field(value, 'name')
  const attributes = {
    name: typeof given === 'string' ? given : '',
    clientUrls: textsOf(field(value, 'clientURLs')),
  }
  return { ...member, attributes }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}

function childrenOf(node: unknown): [name: string, node: unknown][] {
  const children = field(node, 'Children')
  return typeof children === 'object' && children !== null ? Object.entries(children) : []
}

const childOf = (node: unknown, name: string): unknown => field(field(node, 'Children'), name)

function nodeValue(node: unknown): string {
  const value = field(node, 'Value')
  if (typeof value !== 'string') throw new Error('a node without a value')
  return value
}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []

function parseId(name: string): bigint {
  const id = parseMemberHex(name)
  if (id === undefined) throw new Error(`member id ${JSON.stringify(name)}`)
  return id
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0')
