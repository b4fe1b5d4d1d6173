// version-differences.ts: what 3.7.1 does otherwise than the recorded 3.4.23. A row turns the
// recorded outcome into what 3.7 would have given, or takes out of the present one what 3.4 did
// not have: columns and keys whose text the tests of src/output hold. Where 3.7 is tsctl, rows of
// its own ways (tables where etcdctl refuses them) stand among them.
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
    ...(client.name === 'tsctl' ? clientRows : []),
    ...(server === 'bundled' ? serverRows : []),
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

/** The size depends on how the writes before it fell into batches. */
const withoutSize = inText((text) => text.replace(/\d+ kB/, '# kB'))

const badName = Buffer.from('bad\xff\xc3name', 'latin1')

const withoutBadName =
  (what: string) =>
  ({ exit, stdout, stderr }: Outcome, { argv, format }: Case): Outcome => {
    if (argv[1] === 'add') {
      if (!stdout.includes(badName)) return { exit, stdout, stderr }
      const problem = `grpc: ${what} string field contains invalid UTF-8`
      const error = `Error: rpc error: code = Internal desc = ${problem}\n`
      return instead({ exit: 1, stderr: error })()
    }
    const field = Buffer.concat([Buffer.of(0x12, badName.length), badName]).toString('latin1')
    const text = stdout.toString('latin1')
    const kept =
      format === 'protobuf'
        ? text.replace(field, '')
        : text.replace(/ "bad[^ ]*name"|"bad[^"]*name",/, '')
    return { exit, stdout: Buffer.from(kept, 'latin1'), stderr }
  }

/** A 3.4 client dies of the header that a 3.4 server does not send; with any other it is shown. */
const alarmFields: Row = {
  reason: 'alarm list in fields shows the header, or zeros where there is none',
  applies: ({ argv, format }) => isAlarm({ argv }) && format === 'fields',
  recorded: (outcome, { argv }) => {
    if (outcome.exit !== 2) return outcome
    const alarm = '"MemberID" : #\n"AlarmType" : NOSPACE\n\n'
    return instead({ stdout: zeroHeader + (argv.includes('--hex') ? alarm : '') })()
  },
  now: inText((text) =>
    text
      .replace(
        /^"ClusterID" : .*\n"MemberID" : .*\n("Revision" : .*\n)?"RaftTerm" : .*\n/,
        zeroHeader,
      )
      .replace(/"MemberID" : \S+\n"AlarmType"/, '"MemberID" : #\n"AlarmType"'),
  ),
}

const isAlarm = ({ argv }: Pick<Case, 'argv'>): boolean => argv[0] === 'alarm'

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
  alarmFields,
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
    recorded: inError((text) => text.replace('clientv3.LeaseRevokeResponse', 'T')),
    now: inError((text) => text.replace(/\*clientv3.LeaseRevokeResponse/, 'T')),
  },
  {
    reason: 'the version is another',
    applies: isCommand('version'),
    recorded: instead({ stdout: 'etcdctl version: 3.7.1\nAPI version: 3.7\n' }),
  },
  {
    reason: 'the end of the input is told in lower case',
    applies: isCommand('watch', '-i'),
    recorded: inError((text) => text.replace('Error reading watch', 'error reading watch')),
  },
  {
    reason: 'a learner is told from a member',
    applies: isNamed('member: member/add-learner/simple'),
    recorded: inText(learnerAdded),
    now: inText(learnerAdded),
  },
  {
    reason: '3.4 cuts words in single quotes short',
    applies: ({ file }) => file === 'binary',
    recorded: inText((text) =>
      text
        .replace('\n\\x73\n', '\n\\x73\\x71\\x20\\x6b\\x65\\x79\n')
        .replace(/("(Prev)?Key" : )"s"/, '$1"sq key"')
        .replace(/("(Prev)?Value" : )"s"/, '$1"sq value"')
        .replace('"key":"cw=="', `"key":"${base64('sq key')}"`)
        .replace('"value":"cw=="', `"value":"${base64('sq value')}"`),
    ),
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
    reason: 'snapshot status counts keys that live and tells the storage version',
    applies: isCommand('snapshot', 'status'),
    recorded: (outcome) => withoutSize(inText((text) => text.replace(/\b10\b/, '4'))(outcome)),
    now: (outcome, { format }) => withoutSize(inText(withoutVersion(format))(outcome)),
  },
  {
    reason: 'a directory that cannot be read is no empty one either',
    applies: isNamed('snapshot: snapshot/restore-existing-dir'),
    recorded: inError((text) => text.replace(/exists$/m, 'not empty or could not be read')),
  },
  {
    reason: 'a name that is not UTF-8 is refused',
    applies: ({ file }) => file === 'names',
    recorded: withoutBadName('error while marshaling:'),
  },
]

const permissionDenied = instead({ exit: 1, stderr: 'Error: etcdserver: permission denied\n' })

/** Each has its line in the reference of the server's API. */
const serverRows: readonly Row[] = [
  alarmFields,
  {
    reason: 'alarm answers have a header since 3.5',
    applies: (one) => isAlarm(one) && one.format === 'protobuf',
    now: ({ stdout, ...rest }) => {
      const headerSize = stdout[0] === 0x0a ? 2 + (stdout[1] ?? 0) : 0
      return { ...rest, stdout: stdout.subarray(headerSize) }
    },
  },
  {
    reason: 'alarm answers have a header since 3.5',
    applies: (one) => isAlarm(one) && one.format === 'json',
    now: inText((text) => text.replace(/"header":\{[^}]*\},?/, '')),
  },
  {
    reason: 'the list of members is for users since 3.4.42',
    applies: isNamed('auth: auth/no-credentials-member-list'),
    recorded: instead({ exit: 1, stderr: 'Error: etcdserver: user name is empty\n' }),
  },
  {
    reason: 'compaction is for root since 3.4.42',
    applies: isNamed('auth: auth/not-root-compaction'),
    recorded: permissionDenied,
  },
  {
    reason: 'all services refuse with the registered errors since 3.6',
    applies: isNamed('auth: auth/not-root-hashkv'),
    recorded: inError((text) =>
      text.replaceAll(
        'rpc error: code = Unknown desc = auth: permission denied',
        'etcdserver: permission denied',
      ),
    ),
  },
  {
    reason: 'a name that is not UTF-8 is refused by newer servers',
    applies: ({ file }) => file === 'names',
    recorded: withoutBadName('error unmarshalling request:'),
  },
  {
    reason: 'the root role tells what it allows since 3.6',
    applies: isNamed('auth: auth/root-role-get-json'),
    recorded: inText((text) =>
      text.replace(/}}$/m, '},"perm":[{"permType":2,"range_end":"AA=="}]}'),
    ),
  },
  {
    reason: 'the root role tells what it allows since 3.6, which 3.4 takes for a prefix',
    applies: isNamed('auth: auth/root-role-get'),
    recorded: inText((text) =>
      text.replace(/(Read|Write):$(?!\n\t)/gm, '$1:\n\t[, <open ended> (prefix )'),
    ),
  },
  {
    reason: 'a database is written without the pages that etcd leaves free',
    applies: isCommand('snapshot', 'status'),
    recorded: withoutSize,
    now: withoutSize,
  },
  {
    reason: 'the server is 3.7',
    applies: isCommand('endpoint', 'status'),
    recorded: inText((text) => text.replaceAll('3.4.23', '3.7.1')),
    now: inText((text) => text.replaceAll(',"downgradeInfo":{}', '')),
  },
  {
    reason: 'a hash at the revision of the compaction is given since 3.4.27',
    applies: isNamed('endpoint: endpoint/hashkv-rev/simple'),
    recorded: instead({ stdout: '(an endpoint), #\n' }),
    now: inText((text) => text.replace(/^127\.\S+, \d+(, 2)?$/m, '(an endpoint), #')),
  },
  {
    reason: 'a member may be added while a majority of the new cluster is connected',
    applies: isNamed('member: member/add-unhealthy'),
    recorded: instead({ stdout: '(added)' }),
    now: inText((text) => (/^Member +\w+ added to cluster/.test(text) ? '(added)' : text)),
  },
]

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function learnerAdded(text: string): string {
  const line = /^Member +\w+ added (as learner )?to cluster +\w+/
  return text.replace(line, 'Member # added as learner to cluster #')
}

const withoutVersion =
  (format: string) =>
  (text: string): string => {
    if (format === 'simple') return text.replace(/, \S*\n$/, '\n')
    if (format === 'json') return text.replace(/,"version":"[^"]*"/, '')
    if (format === 'fields') return text.replace(/^"Version" : .*\n/m, '')
    return text.replace(/^(.*)[|+][^|+\n]*[|+]$/gm, (_, kept: string) => kept + kept[0])
  }
