// What a member is not started with, in etcd's words (server/embed/config.go: Validate).
import { expect, test } from 'vitest'
import { ConfigError, type ServerConfig, serverConfig } from '../../src/server/config.js'

const refused: readonly (readonly [given: Partial<ServerConfig>, problem: string])[] = [
  [{ heartbeatIntervalMs: 0 }, '--heartbeat-interval must be >0 (set to 0ms)'],
  [
    { heartbeatIntervalMs: 100, electionTimeoutMs: 499 },
    '--election-timeout[499ms] should be at least as 5 times as --heartbeat-interval[100ms]',
  ],
  [
    { electionTimeoutMs: 50_001 },
    '--election-timeout[50001ms] is too long, and should be set less than 50000ms',
  ],
  [
    { leaseCheckpointPersist: true },
    'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
  ],
]

test.each(refused)('%o is refused', (given, problem) => {
  expect(() => serverConfig(given)).toThrow(new ConfigError(problem))
})

test('what follows from other settings follows them', () => {
  const given = { name: 'm1', initialAdvertisePeerUrls: ['http://a:1', 'http://b:2'] }
  expect(serverConfig({ ...given, listenClientUrls: ['http://c:3'] })).toMatchObject({
    dataDir: 'm1.etcd',
    initialCluster: 'm1=http://a:1,m1=http://b:2',
    advertiseClientUrls: ['http://c:3'],
  })
})
