// received-database.ts: a database that a leader sent: its name while it waits, and its way to its
// place. Recovery may have to finish what a stopped member began.
import type { Files } from '../../platform/files.js'

/** Name of a received database, by the index it stands at. */
export function receivedName(index: number): string {
  return `${index.toString(16).padStart(16, '0')}.snap.db`
}

/** Makes a received database the member's own. */
export async function adoptDatabase(snapDir: string, index: number, files: Files): Promise<void> {
  await files.rename(`${snapDir}/${receivedName(index)}`, `${snapDir}/db`)
  await files.syncDir(snapDir)
}
