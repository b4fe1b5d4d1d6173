// snapshot save|status|restore|hashkv|verify: backup of a database and what can be done with it.
// Those that need no server stand here too, where etcdctl had them up to 3.5: later releases keep
// them in etcdutl.
import { defineGroup } from './context.js'
import { hashKvCommand, statusCommand, verifyCommand } from './snapshot-inspect.js'
import { restoreCommand } from './snapshot-restore.js'
import { saveCommand } from './snapshot-save.js'

export const snapshotCommand = defineGroup({
  save: {
    summary: 'Stores a snapshot of the database of an endpoint in a file',
    command: saveCommand,
  },
  status: {
    summary: 'Prints hash, revision, number of keys, size and version of a snapshot file',
    command: statusCommand,
  },
  restore: {
    summary: 'Makes the data directory of a new member from a snapshot file',
    command: restoreCommand,
  },
  hashkv: {
    summary: 'Prints the hash over the keys of a snapshot file and their history',
    command: hashKvCommand,
  },
  verify: {
    summary: 'Checks digest, pages and every record of a snapshot file',
    command: verifyCommand,
  },
})
