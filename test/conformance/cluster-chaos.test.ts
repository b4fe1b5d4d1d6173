// Twenty seconds of chaos.ts over three real processes; `npx tsx scripts/chaos.ts` goes on longer.
import { expect, test } from 'vitest'
import { chaos } from '../support/chaos.js'
import { startProcessCluster } from '../support/cluster.js'
import { seededRandom } from '../support/cutting-proxy.js'

test('answers stay true while members are killed and suspended', async () => {
  const flags = ['--heartbeat-interval=50', '--election-timeout=500', '--snapshot-count=100']
  const more = ['--snapshot-catchup-entries=200', '--log-level=warn']
  await using cluster = await startProcessCluster({
    programs: ['tsctl', 'tsctl', 'tsctl'],
    flags: [...flags, ...more],
  })
  const result = await chaos(cluster, { seconds: 20, random: seededRandom(7) })
  expect(result.answered).toBeGreaterThan(500)
  expect(result.kills).toBeGreaterThan(0)
  expect(result.pauses).toBeGreaterThan(0)
  expect(result.undecided).toBe(0)
})
