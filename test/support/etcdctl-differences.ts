// etcdctl-differences.ts: how the recorded texts of etcdctl 3.4.23 differ from those of 3.7.1,
// which tsctl follows: one row a difference, with its reason.

export interface RecordedCommand {
  file: string
  format: string
  argv: readonly string[]
}

export interface Difference {
  reason: string
  applies: (one: RecordedCommand) => boolean
  change: (text: string) => string
}

const commandOf = ({ argv }: RecordedCommand): string => argv.slice(0, 2).join(' ')

/** Why 3.7.1 prints something else, and what. Each must change at least one recorded text. */
export const differences: readonly Difference[] = [
  {
    reason: 'watch in JSON tells the reason of a cancellation',
    applies: ({ argv, format }) => argv[0] === 'watch' && format === 'json',
    change: (text) => text.replace(/("Created":(true|false))}/g, '$1,"CancelReason":""}'),
  },
  {
    reason: 'watch in JSON shows no events as null',
    applies: ({ argv, format }) => argv[0] === 'watch' && format === 'json',
    change: (text) => text.replace('"Events":[]', '"Events":null'),
  },
  {
    reason: 'fields leaves out a revision of 0',
    applies: ({ format }) => format === 'fields',
    change: (text) => text.replace('"Revision" : 0\n', ''),
  },
  {
    reason: 'txn in JSON uses the proto names for the answers inside',
    applies: ({ argv, format }) => argv[0] === 'txn' && format === 'json',
    change: (text) =>
      text.replace(
        /"Response(Range|Put|DeleteRange)"/g,
        (_, name: string) => `"response${name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}"`,
      ),
  },
  {
    reason: 'JSON has short escapes for backspace and form feed',
    applies: ({ file, format }) => file === 'names.json' && format === 'json',
    change: (text) => text.replace('\\u0008', '\\b').replace('\\u000c', '\\f'),
  },
  {
    // The bytes of such a name are gone once it is decoded; newer servers refuse it anyway.
    reason: 'names are valid UTF-8, in JSON',
    applies: ({ file, format }) => file === 'names.json' && format === 'json',
    change: (text) => text.replace('bad\\ufffd\\ufffdname', 'bad\ufffd\ufffdname'),
  },
  {
    reason: 'names are valid UTF-8, in fields',
    applies: ({ file, format }) => file === 'names.json' && format === 'fields',
    change: (text) => text.replace('bad\\xff\\xc3name', 'bad\ufffd\ufffdname'),
  },
  {
    reason: 'the alarm line has no space at its end',
    applies: (one) => one.argv[0] === 'alarm' && one.format === 'simple',
    change: (text) => text.replace(/ \n/g, '\n'),
  },
  {
    reason: 'alarm in fields shows an absent header as zeros instead of dying',
    applies: (one) => commandOf(one) === 'alarm list' && one.format === 'fields',
    change: () => '"ClusterID" : 0\n"MemberID" : 0\n"RaftTerm" : 0\n',
  },
]

/** Tables that etcdctl refuses and tsctl draws. */
export const drawnHere =
  /^(get|watch|lease (list|grant|timetolive|keep-alive)|(user|role) (get|list)|alarm list)\b/
