// The flags of a server: each as a flag and as a variable, what it sets, and what it refuses.
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../src/commands/context.js'
import { givenTexts } from '../../src/commands/flag-texts.js'
import { serverWork } from '../../src/commands/server.js'
import { serverSettings, serverWords } from '../../src/commands/server-flags.js'
import type { ServerConfig } from '../../src/server/config.js'

const settings = (typed: Record<string, unknown>, env: Record<string, string> = {}) =>
  serverSettings(givenTexts(typed, env), { logLevel: 'info' })

const cases: readonly (readonly [flag: string, text: string, config: Partial<ServerConfig>])[] = [
  ['name', 'm1', { name: 'm1' }],
  ['data-dir', '/data', { dataDir: '/data' }],
  ['data-dir', '', { dataDir: undefined }],
  ['wal-dir', '/log', { walDir: '/log' }],
  [
    'listen-client-urls',
    'http://a:1,http://b:2',
    { listenClientUrls: ['http://a:1', 'http://b:2'] },
  ],
  ['listen-client-http-urls', 'http://a:3', { listenClientHttpUrls: ['http://a:3'] }],
  ['listen-client-http-urls', '', { listenClientHttpUrls: [] }],
  ['advertise-client-urls', 'http://a:1', { advertiseClientUrls: ['http://a:1'] }],
  ['initial-cluster-state', 'existing', { initialClusterState: 'existing' }],
  ['heartbeat-interval', '50', { heartbeatIntervalMs: 50 }],
  ['election-timeout', '500', { electionTimeoutMs: 500 }],
  ['pre-vote', 'false', { preVote: false }],
  ['quota-backend-bytes', '-1', { quotaBackendBytes: -1 }],
  ['max-request-bytes', '1000', { maxRequestBytes: 1000 }],
  ['max-txn-ops', '9', { maxTxnOps: 9 }],
  ['watch-progress-notify-interval', '90s', { watchProgressNotifyIntervalMs: 90_000 }],
  ['experimental-watch-progress-notify-interval', '9s', { watchProgressNotifyIntervalMs: 9_000 }],
  ['feature-gates', 'InitialCorruptCheck=true', { initialCorruptCheck: true }],
  ['feature-gates', 'LeaseCheckpoint=true', { leaseCheckpoint: true }],
  ['experimental-enable-lease-checkpoint', 'true', { leaseCheckpoint: true }],
  ['corrupt-check-time', '4m', { corruptCheckTimeMs: 240_000 }],
  ['experimental-corrupt-check-time', '4m', { corruptCheckTimeMs: 240_000 }],
  ['experimental-snapshot-catchup-entries', '7', { snapshotCatchupEntries: 7 }],
  ['auto-compaction-mode', 'revision', { autoCompactionMode: 'revision' }],
  ['enable-grpc-gateway', 'false', { enableGrpcGateway: false }],
  [
    'listen-metrics-urls',
    'http://a:4,https://b:5',
    { listenMetricsUrls: ['http://a:4', 'https://b:5'] },
  ],
  ['listen-metrics-urls', '', { listenMetricsUrls: [] }],
  ['cors', '*', { cors: ['*'] }],
  ['cors', 'http://a:1, https://b:2', { cors: ['http://a:1', 'https://b:2'] }],
  ['host-whitelist', 'a,b', { hostWhitelist: ['a', 'b'] }],
  // As etcd does, whatever its help says: nothing is listed then but no name at all.
  ['host-whitelist', '', { hostWhitelist: [''] }],
  ['metrics', 'extensive', { metrics: 'extensive' }],
  ['cert-file', 'c.pem', { certFile: 'c.pem' }],
  ['key-file', 'k.pem', { keyFile: 'k.pem' }],
  ['key-file', '', { keyFile: undefined }],
  ['trusted-ca-file', 'ca.pem', { trustedCaFile: 'ca.pem' }],
  ['client-cert-auth', 'true', { clientCertAuth: true }],
  ['auto-tls', '1', { autoTls: true }],
  ['unsafe-no-fsync', 't', { unsafeNoFsync: true }],
  ['cipher-suites', 'A,B', { cipherSuites: ['A', 'B'] }],
  ['cipher-suites', '', { cipherSuites: [] }],
  ['tls-min-version', 'TLS1.3', { tlsMinVersion: 'TLS1.3' }],
  ['tls-max-version', 'TLS1.2', { tlsMaxVersion: 'TLS1.2' }],
]

const camelCase = (name: string): string =>
  name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
const variable = (name: string): string => `ETCD_${name.toUpperCase().replaceAll('-', '_')}`

describe('sets', () => {
  test.each(cases)('--%s=%s', (flag, text, config) => {
    expect(settings({ [camelCase(flag)]: text }).given).toMatchObject(config)
    if (text === '') return // an empty variable is none: see below
    expect(settings({}, { [variable(flag)]: text }).given).toMatchObject(config)
  })

  test.each([
    ['periodic', '2', 2 * 60 * 60 * 1000],
    ['periodic', '10m', 10 * 60 * 1000],
    ['revision', '1000', 1000],
  ])('--auto-compaction-retention in mode %s: %s', (mode, text, retention) => {
    const typed = { autoCompactionMode: mode, autoCompactionRetention: text }
    expect(settings(typed).given.autoCompactionRetention).toBe(retention)
  })

  test('a flag beats its variable', () => {
    const env = {
      ETCD_NAME: 'variable',
      ETCD_LOG_LEVEL: 'error',
      ETCD_AUTO_COMPACTION_RETENTION: '5',
    }
    const typed = { name: 'flag', logLevel: 'debug', autoCompactionRetention: '1' }
    const { given, logLevel } = settings(typed, env)
    expect([given.name, logLevel, given.autoCompactionRetention]).toEqual([
      'flag',
      'debug',
      3_600_000,
    ])
  })
})

test('an empty --data-dir is warned of, as nothing is kept', () => {
  const work = serverWork({ dataDir: '' }, [], { env: {} })
  const warnings = ['data-dir was empty; nothing is kept on disk']
  expect(work).toMatchObject({ kind: 'serve', options: { warnings } })
})

test('an empty variable is none', () => {
  const env = {
    ETCD_DATA_DIR: '',
    ETCD_NAME: '',
    ETCD_DISCOVERY_SRV: '',
    ETCD_QUOTA_BACKEND_BYTES: '',
  }
  expect(settings({}, env)).toEqual(settings({}))
})

describe('sets nothing and says so', () => {
  test.each([
    ['logger', 'zap'],
    ['enable-v2', 'true'],
    ['strict-reconfig-check', 'true'],
    ['experimental-compact-hash-check-enabled', 'true'],
  ])('--%s=%s', (flag, text) => {
    expect(settings({ [camelCase(flag)]: text }).inert).toEqual([flag])
    expect(settings({}, { [variable(flag)]: text }).inert).toEqual([flag])
  })
})

test('gates that set nothing are named, beside one that does', () => {
  const featureGates = 'CompactHashCheck=true,LeaseCheckpoint=true,StopGRPCServiceOnDefrag=false'
  const { given, inert } = settings({ featureGates })
  expect(given).toMatchObject({ leaseCheckpoint: true })
  expect(inert).toEqual(['feature-gates=CompactHashCheck', 'feature-gates=StopGRPCServiceOnDefrag'])
})

test.each([
  ['proxy', 'off'],
  ['discovery-srv', ''],
  ['peer-auto-tls', '0'],
  ['experimental-max-learners', '1'],
])('--%s=%s asks for what is done anyway', (flag, text) => {
  expect(settings({ [camelCase(flag)]: text })).toEqual(settings({}))
})

test.each([
  ['discovery-srv', 'example.com', ''],
  ['client-crl-file', 'revoked.pem', ''],
  ['peer-auto-tls', 'true', ', only false'],
])('--%s=%s would be missed, so it is refused', (flag, text, taken) => {
  const message = `--${flag}=${text} is not supported here${taken}`
  expect(() => settings({ [camelCase(flag)]: text })).toThrow(message)
  expect(() => settings({}, { [variable(flag)]: text })).toThrow(message)
})

describe('refuses', () => {
  test.each([
    ['metrics', 'all', 'all is not one of basic, extensive'],
    ['max-txn-ops', 'many', 'strconv.ParseInt: parsing "many": invalid syntax'],
    ['feature-gates', 'Nothing=true', 'unrecognized feature gate: Nothing'],
    [
      'feature-gates',
      'CompactHashCheck=maybe',
      'invalid value of CompactHashCheck=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    ['feature-gates', 'InitialCorruptCheck', 'missing bool value for InitialCorruptCheck'],
    ['auto-tls', 'maybe', 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    ['initial-cluster-state', 'old', 'old is not one of new, existing'],
    ['log-level', 'loud', 'loud is not one of debug, info, warn, error, panic, fatal'],
  ])('--%s=%s', (flag, text, problem) => {
    const refused = () => settings({ [camelCase(flag)]: text })
    expect(refused).toThrow(UsageError)
    expect(refused).toThrow(`invalid value "${text}" for flag --${flag}: ${problem}`)
  })

  test('words beside flags', () => {
    expect(() => serverWork({}, ['word'], { env: {} })).toThrow("'word' is not a valid flag")
  })
})

test('flags that a command decides by itself are not declared, and their variables are not read', () => {
  const except = ['data-dir', 'feature-gates']
  const declared = serverWords(new Command(), { except }).options.map(({ long }) => long)
  expect(declared).toContain('--max-txn-ops')
  expect(declared).not.toContain('--data-dir')
  const env = { ETCD_DATA_DIR: '/x', ETCD_FEATURE_GATES: 'Nothing' }
  const { given } = serverSettings(givenTexts({}, env), { logLevel: 'warn', except })
  expect(given).not.toHaveProperty('dataDir')
})
