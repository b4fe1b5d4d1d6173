// table.ts: every command there is: its name, a summary, the group that help lists it in, and how
// to load it. Only the module of the word that was typed is loaded, so that no command pays for
// the others. The order is the one in which etcdctl makes suggestions.
import { type Entry, groups } from './entry.js'

const [kv, maintenance, concurrency, authentication, utility, server] = groups

export const table: readonly Entry[] = [
  {
    name: 'get',
    summary: 'Prints a key or a range of keys',
    group: kv,
    load: async () => (await import('./get.js')).getCommand,
  },
  {
    name: 'put',
    summary: 'Stores a key',
    group: kv,
    load: async () => (await import('./put.js')).putCommand,
  },
  {
    name: 'del',
    summary: 'Deletes a key or a range of keys',
    group: kv,
    load: async () => (await import('./del.js')).delCommand,
  },
  {
    name: 'txn',
    summary: 'Runs a transaction that is read from standard input',
    group: kv,
    load: async () => (await import('./txn.js')).txnCommand,
  },
  {
    name: 'compaction',
    summary: 'Forgets the history of keys before a revision',
    group: kv,
    load: async () => (await import('./compaction.js')).compactionCommand,
  },
  {
    name: 'alarm',
    summary: 'Commands about alarms',
    group: maintenance,
    load: async () => (await import('./alarm.js')).alarmCommand,
  },
  {
    name: 'defrag',
    summary: 'Gives free space in the database of the endpoints back to the file system',
    group: maintenance,
    load: async () => (await import('./defrag.js')).defragCommand,
  },
  {
    name: 'endpoint',
    summary: 'Commands about single endpoints',
    group: maintenance,
    load: async () => (await import('./endpoint.js')).endpointCommand,
  },
  {
    name: 'move-leader',
    summary: 'Makes another member the leader',
    group: maintenance,
    load: async () => (await import('./move-leader.js')).moveLeaderCommand,
  },
  {
    name: 'watch',
    summary: 'Prints changes of keys as they happen',
    group: kv,
    load: async () => (await import('./watch.js')).watchCommand,
  },
  {
    name: 'version',
    summary: 'Prints the version of tsctl',
    group: utility,
    load: async () => (await import('./version.js')).versionCommand,
  },
  {
    name: 'lease',
    summary: 'Commands about leases',
    group: kv,
    load: async () => (await import('./lease.js')).leaseCommand,
  },
  {
    name: 'member',
    summary: 'Commands about the members of the cluster',
    group: maintenance,
    load: async () => (await import('./member.js')).memberCommand,
  },
  {
    name: 'snapshot',
    summary: 'Commands about snapshots of the database',
    group: maintenance,
    load: async () => (await import('./snapshot.js')).snapshotCommand,
  },
  {
    name: 'make-mirror',
    summary: 'Copies keys to another cluster and keeps the copy up to date',
    group: utility,
    load: async () => (await import('./make-mirror.js')).makeMirrorCommand,
  },
  {
    name: 'lock',
    summary: 'Holds a lock, by itself or while a command runs',
    group: concurrency,
    load: async () => (await import('./lock.js')).lockCommand,
  },
  {
    name: 'elect',
    summary: 'Stands for an election, or tells who leads',
    group: concurrency,
    load: async () => (await import('./elect.js')).electCommand,
  },
  {
    name: 'auth',
    summary: 'Commands about authentication',
    group: authentication,
    load: async () => (await import('./auth.js')).authCommand,
  },
  {
    name: 'user',
    summary: 'Commands about users',
    group: authentication,
    load: async () => (await import('./user.js')).userCommand,
  },
  {
    name: 'role',
    summary: 'Commands about roles',
    group: authentication,
    load: async () => (await import('./role.js')).roleCommand,
  },
  {
    name: 'check',
    summary: 'Commands that check the cluster',
    group: utility,
    load: async () => (await import('./check.js')).checkCommand,
  },
  {
    name: 'completion',
    summary: 'Prints a completion script for a shell',
    group: utility,
    load: async () => (await import('./completion.js')).completionCommand(table),
  },
  {
    name: 'downgrade',
    summary: 'Commands about a downgrade of the cluster (experimental)',
    group: maintenance,
    load: async () => (await import('./downgrade.js')).downgradeCommand,
  },
  {
    name: 'options',
    summary: 'Prints the flags that every command takes',
    group: utility,
    load: async () => (await import('./options.js')).optionsCommand,
  },
  {
    name: 'help',
    summary: 'Prints help about a command',
    group: utility,
    load: async () => (await import('./help.js')).helpCommand(table),
  },
  {
    name: 'server',
    summary: 'Runs one member of a cluster: the server in this package',
    group: server,
    isOurs: true,
    load: async () => (await import('./server.js')).serverCommand,
  },
  {
    name: 'run',
    summary: 'Runs a command beside a server of its own, with its data in memory',
    group: server,
    isOurs: true,
    load: async () => (await import('./server.js')).runCommand,
  },
]
