// A configuration file of etcd, as the texts of flags.
import { expect, test } from 'vitest'
import { readConfigFile } from '../../src/commands/config-file.js'
import { serverSettings } from '../../src/commands/server-flags.js'

// The keys of the sample that comes with etcd, with values of the forms that are in use.
const sample = `
# Human-readable name for this member.
name: 'm1'
data-dir:
snapshot-count: 10000
quota-backend-bytes: 8589934592
listen-peer-urls: http://localhost:2380
listen-client-urls: "http://a:1,http://b:2"
cors:
discovery-fallback: 'proxy'
discovery-srv:
initial-cluster: >-
  m1=http://localhost:2380,m2=http://b:2380
strict-reconfig-check: false
enable-pprof: true
watch-progress-notify-interval: 5000000000
client-transport-security:
  cert-file: server.pem
  key-file:
  client-cert-auth: yes
peer-transport-security:
  cert-file: /peer.pem
  client-cert-auth: true
  auto-tls: false
  allowed-cn: member
log-level: debug
log-outputs: [stderr]
auto-compaction-retention: "1"
tls-min-version: 'TLS1.2'
colour: blue
`

test('keys are flags, with those about TLS in sections of their own', () => {
  const { texts, unknown } = readConfigFile(sample)
  const { given, logLevel, inert } = serverSettings(texts, { logLevel: 'info' })
  expect(given).toEqual({
    name: 'm1',
    snapshotCount: 10_000,
    quotaBackendBytes: 8_589_934_592,
    listenPeerUrls: ['http://localhost:2380'],
    listenClientUrls: ['http://a:1', 'http://b:2'],
    initialCluster: 'm1=http://localhost:2380,m2=http://b:2380',
    watchProgressNotifyIntervalMs: 5_000,
    certFile: 'server.pem',
    clientCertAuth: true,
    peerCertFile: '/peer.pem',
    peerCertAllowedCn: 'member',
    autoCompactionRetention: 3_600_000,
    tlsMinVersion: 'TLS1.2',
  })
  expect(logLevel).toBe('debug')
  expect(inert.toSorted()).toEqual([
    'discovery-fallback',
    'enable-pprof',
    'log-outputs',
    'strict-reconfig-check',
  ])
  expect(unknown).toEqual(['colour'])
})

test('JSON is YAML, too', () => {
  const { texts } = readConfigFile('{"name": "m2", "pre-vote": false}')
  expect([texts('name'), texts('pre-vote'), texts('data-dir')]).toEqual(['m2', 'false', undefined])
})

test('a number without quotes is the text that stands there', () => {
  const { texts } = readConfigFile('initial-cluster-token: 12345678901234567890')
  expect(texts('initial-cluster-token')).toBe('12345678901234567890')
})

test('a file with nothing in it sets nothing', () => {
  expect(readConfigFile('# nothing\n').texts('name')).toBeUndefined()
})

test.each([
  ['name: [', 'error converting YAML to JSON: '],
  ['- name', 'invalid the file: not a mapping'],
  ['peer-transport-security: on', 'invalid peer-transport-security: not a mapping'],
  ['name: {m1: m2}', 'invalid name in the configuration file: not a text'],
  ['log-outputs: [{a: b}]', 'invalid log-outputs in the configuration file: not a text'],
])('%j is refused', (content, message) => {
  expect(() => readConfigFile(content)).toThrow(message)
})
