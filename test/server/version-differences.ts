// version-differences.ts: where the API of 3.7, as which the bundled server behaves, differs from
// that of an older etcd that it is compared with. The one table of such differences for tests that
// speak gRPC or HTTP themselves; what etcdctl prints has its own in conformance/golden/. Each row
// says since which release, and names the section and the word of the API's reference.

export interface VersionDifference<T> {
  /** major.minor */
  readonly since: string
  readonly reference: string
  readonly before: T
  readonly now: T
}

/** What can be said as a value: an error, a body, whether something is there. */
export const versionDifferences = {
  alarmHeader: {
    since: '3.5',
    reference: '1.4 AlarmResponse.header',
    before: false,
    now: true,
  },
  unknownSortOrder: {
    since: '3.6',
    reference: '2.1 invalid sort option',
    before: 'ok',
    now: 'InvalidArgument: etcdserver: invalid sort option',
  },
  unknownSortTarget: {
    since: '3.6',
    reference: '2.1 invalid sort option',
    before: undefined, // not to be asked: the question ends an etcd 3.4
    now: 'InvalidArgument: etcdserver: invalid sort option',
  },
  malformedInStream: {
    since: '3.6',
    reference: '2.2 gRPC layer',
    before: 'grpc: failed to unmarshal the received message unexpected EOF',
    now: 'grpc: failed to unmarshal the received message: unexpected EOF',
  },
  keysOnlyLease: {
    since: '3.7',
    reference: '3.1 keys_only',
    before: true,
    now: false,
  },
  statusFields: {
    since: '3.6',
    reference: '1.4 StatusResponse 11 to 13',
    before: false,
    now: true,
  },
  health: {
    since: '3.5',
    reference: '4 /health',
    before: '{"health":"true"}',
    now: '{"health":"true","reason":""}',
  },
  gatewayError: {
    since: '3.6',
    reference: '4 JSON gateway, errors',
    before: (code: number, message: string) => ({ error: message, message, code }),
    now: (code: number, message: string) => ({ code, message }) as object,
  },
  gatewayGet: {
    since: '3.6',
    reference: '4 JSON gateway, GET on a POST path',
    before: 405,
    now: 501,
  },
} as const satisfies Record<string, VersionDifference<unknown>>

/** What a server of this version does. */
export function byVersion<Before, Now>(
  version: string,
  row: { since: string; before: Before; now: Now },
): Before | Now {
  return number(version) < number(row.since) ? row.before : row.now
}

/** 3.4.23 as 3004. */
function number(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major * 1000 + minor
}

export type Fields = Record<string, unknown>

/** What random requests meet: takes out of an answer what the other version does not have. */
export interface AnswerDifference {
  readonly since: string
  readonly reference: string
  /** By the client's method names. */
  readonly methods: readonly string[]
  level(request: Fields, answer: Fields): void
}

export const answerDifferences: readonly AnswerDifference[] = [
  {
    since: '3.6',
    reference: '3.5 HashKV, hash_revision',
    methods: ['hashKV'],
    level: (_request, answer) => {
      delete answer.hash_revision
    },
  },
  {
    since: versionDifferences.keysOnlyLease.since,
    reference: versionDifferences.keysOnlyLease.reference,
    methods: ['range', 'txn'],
    level: dropLeases,
  },
]

/** Of ranges with keys_only, those in transactions included. */
function dropLeases(request: Fields, answer: Fields): void {
  if (request.keys_only) for (const kv of answer.kvs as Fields[]) delete kv.lease
  const answers = (answer.responses ?? []) as Fields[]
  const ops = (answer.succeeded ? request.success : request.failure) as Fields[] | undefined
  answers.forEach((each, at) => {
    const op = ops?.[at] ?? {}
    for (const kind of ['range', 'txn']) {
      const nested = each[`response_${kind}`]
      if (nested) dropLeases(op[`request_${kind}`] as Fields, nested as Fields)
    }
  })
}
