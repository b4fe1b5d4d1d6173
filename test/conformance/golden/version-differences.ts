// version-differences.ts: what 3.7.1 does otherwise than the recorded 3.4.23. A row turns the
// recorded outcome into what 3.7 would have given, or takes out of the present one what 3.4 did not
// have: columns and keys whose text the tests of src/output hold. Where 3.7 is tsctl, rows of its own
// ways (tables where etcdctl refuses them) stand among them.
import { differences, drawnHere } from '../../support/etcdctl-differences.js'
import type { Case, Outcome } from './recording.js'
import type { Stage } from './replay.js'
import { inError, instead, inText, isCommand, type Row } from './row.js'
import { statusRows } from './status-differences.js'

/** The outcome of either side with all rows applied that are about this client and server. */
export function versionDifferences(
  outcome: Outcome,
  one: Case,
  { client, server }: Stage,
  side: 'recorded' | 'now',
): Outcome {
  const rows = [
    ...(server === 'bundled' ? serverRows : []),
    ...(client.name === 'tsctl' ? clientRows : []),
  ]
  return rows.reduce((changed, row) => {
    return row.applies(one) ? (row[side]?.(changed, one) ?? changed) : changed
  }, outcome)
}

const isNamed =
  (...names: string[]) =>
  ({ file, name }: Case): boolean =>
    names.includes(`${file}: ${name}`)

const isHexFields = ({ argv, format }: Case): boolean =>
  format === 'fields' && argv.includes('--hex')

const zeroHeader = '"ClusterID" : 0\n"MemberID" : 0\n"RaftTerm" : 0\n'

const clientRows: readonly Row[] = [
  ...differences.map(({ reason, applies, change }) => ({
    reason,
    applies: (one: Case) => applies({ ...one, file: `${one.file}.json` }),
    recorded: inText(change),
  })),
  ...statusRows,
  {
    reason: 'tsctl draws tables that etcdctl refuses',
    applies: ({ argv, format }) => format === 'table' && drawnHere.test(argv.join(' ')),
    recorded: (outcome, { argv }) => {
      if (!outcome.stderr.includes('table not supported')) return outcome
      return instead({ exit: argv[0] === 'watch' ? 130 : 0, stdout: '(a table)\n' })()
    },
    now: inText((text) => (/^\+-/.test(text) ? '(a table)\n' : text)),
  },
  {
    reason: 'alarm list in fields does not die of a missing header',
    applies: isCommand('alarm', 'list'),
    recorded: (outcome, { argv }) => {
      if (outcome.exit !== 2) return outcome
      const alarm = '"MemberID" : #\n"AlarmType" : NOSPACE\n\n'
      return instead({ stdout: zeroHeader + (argv.includes('--hex') ? alarm : '') })()
    },
    now: inText((text) =>
      text.replace(/"MemberID" : \S+\n"AlarmType"/, '"MemberID" : #\n"AlarmType"'),
    ),
  },
  {
    reason: 'fields with --hex prints leases in hexadecimal',
    applies: isHexFields,
    recorded: inText((text) =>
      text.replace(/^("Lease" : )(\d+)$/gm, (_, name: string, id: string) => {
        return name + BigInt(id).toString(16).padStart(16, '0')
      }),
    ),
  },
  {
    reason: 'the root role has open ended ranges',
    applies: isNamed('auth: auth/root-role-get'),
    recorded: instead({
      stdout: 'Role root\nKV Read:\n\t[, <open ended>\nKV Write:\n\t[, <open ended>\n',
    }),
  },
  {
    reason: '3.4 has no auth status',
    applies: isNamed('auth: auth/status-unknown-command'),
    recorded: ({ exit }) => ({ exit, stdout: Buffer.from('(a status)'), stderr: '' }),
    now: ({ stdout, stderr }) => {
      const isKnown = /^Authentication Status: false\nAuthRevision: \d+\n$/.test(stdout.toString())
      const isUnknown = /Unimplemented desc = unknown method AuthStatus/.test(stderr)
      return instead({ stdout: isKnown || isUnknown ? '(a status)' : `${stdout}${stderr}` })()
    },
  },
  {
    reason: 'defrag tells how long it took',
    applies: isCommand('defrag'),
    now: ({ exit, stdout, stderr }) => ({
      exit,
      stdout: Buffer.from(stdout.toString().replace(/\. took [\d.]+(ms|µs|s)$/gm, '')),
      stderr: stderr.replace(/\. took [\d.]+(ms|µs|s)\. \(/g, ' ('),
    }),
  },
  {
    reason: 'a range is deleted with a warning',
    applies: isCommand('del'),
    now: inError((text) => text.replace(/^Warning: Keys between .*\n/, '')),
  },
  {
    reason: 'get has filters by revision',
    applies: isNamed('get: get/min-mod-rev-unknown'),
    recorded: instead({}),
  },
  {
    reason: 'the type in the message has another name',
    applies: isNamed('lease: lease/revoke/protobuf'),
    recorded: inError((text) => text.replace('*clientv3.LeaseRevokeResponse', '*T')),
    now: inError((text) => text.replace(/\*\w+\.LeaseRevokeResponse/, '*T')),
  },
  {
    reason: 'the version is another',
    applies: isCommand('version'),
    recorded: inText((text) =>
      text.replace('etcdctl version: 3.4.23', 'tsctl version: 3.7.1').replace('3.4', '3.7'),
    ),
    now: inText((text) => text.replace(/^tsctl version: [\w.-]+$/m, 'tsctl version: 3.7.1')),
  },
  {
    reason: 'the end of the input is told in lower case',
    applies: isCommand('watch', '-i'),
    recorded: inError((text) => text.replace('Error reading watch', 'error reading watch')),
  },
  {
    reason: 'a learner is told from a member',
    applies: isNamed('member: member/add-learner/simple'),
    recorded: inText((text) => text.replace(' added to cluster', ' added as learner to cluster')),
    now: inText((text) =>
      text.replace(
        /Member +\w+ added as learner to cluster +\w+/,
        'Member # added as learner to cluster #',
      ),
    ),
  },
  {
    reason: 'single quotes are taken off the words',
    applies: isNamed('binary: bin/single-quoted/put-txn'),
  },
  {
    reason: 'snapshot save tells the version of the server, and what its argument is',
    applies: isCommand('snapshot', 'save'),
    recorded: inError((text) =>
      text.replace('save expects one argument\n', 'save expects one argument <filename>\n'),
    ),
    now: inText((text) => text.replace(/^Server version [\d.]+\n/m, '')),
  },
  {
    reason: 'a name that is not UTF-8 is refused',
    applies: ({ file }) => file === 'names',
  },
]

const serverRows: readonly Row[] = []
