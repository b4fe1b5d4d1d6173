// received-snapshot.ts: a database that a leader sent, from its arrival to its place.
//
//     body ──► INDEX.snap.db.part ──► INDEX.snap.db      before raft hears of the snapshot
//     raft takes it: .snap file, snapshot record in the log
//     state read from INDEX.snap.db, then the file becomes db
//
// A crash between the last two steps leaves a log that starts after the database: recovery finds
// INDEX.snap.db and puts it in its place.
import type { Message, Snapshot } from '../../api/gen/raft.js'
import type { Files } from '../../platform/files.js'
import { snapOf, writeRaftSnapshot } from '../../storage/snap-file.js'
import { settleMembers } from '../membership/settled-members.js'
import type { Platform } from '../platform.js'
import type { Position } from './checkpoint.js'
import { adoptDatabase, receivedName } from './received-database.js'
import { type Recovered, restoreState } from './recover.js'

/** Saves the body of a MsgSnap, lastingly. What was received before under that index stays. */
export async function receiveDatabase(
  snapDir: string,
  message: Message,
  body: AsyncIterable<Buffer>,
  files: Files,
): Promise<void> {
  const file = `${snapDir}/${receivedName(indexOf(message.snapshot))}`
  const part = `${file}.part`
  await files.remove(part)
  const handle = await files.open(part, 'create')
  try {
    let position = 0
    for await (const chunk of body) {
      await handle.write([chunk], position)
      position += chunk.length
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(part, file)
  await files.syncDir(snapDir)
}

/** The log names a snapshot only after its file and its database are on disk. */
export async function saveSnapshot(
  snapshot: Snapshot,
  { snapDir, wal }: Recovered,
  { files }: Platform,
): Promise<void> {
  if (snapDir === undefined || snapshot.metadata === undefined) return
  const { index, term, conf_state } = snapshot.metadata
  await writeRaftSnapshot(snapDir, snapshot, { files })
  await wal.saveSnapshot({ index, term, ...(conf_state ? { confState: conf_state } : {}) })
}

/** Replaces state and database by a snapshot that was saved; says where they stand now. */
export async function installSnapshot(
  snapshot: Snapshot,
  { snapDir, state, wal }: Recovered,
  { files, log }: Platform,
): Promise<Position> {
  if (snapDir === undefined) throw new Error('a snapshot came to a member without a directory')
  const index = indexOf(snapshot)
  // Not the term that the database names: etcd 3.4 writes none.
  const term = snapshot.metadata?.term ?? 0
  await restoreState(`${snapDir}/${receivedName(index)}`, state, files)
  settleMembers(state.membership, snapOf(snapshot), [])
  await adoptDatabase(snapDir, index, files)
  await wal.release(index)
  log.info('applied snapshot', { 'snapshot-index': index })
  return { index, term }
}

function indexOf(snapshot: Snapshot | undefined): number {
  return snapshot?.metadata?.index ?? 0
}
