// What counts as a slow apply, and what is timed, on a clock that is moved by hand.
import { expect, test } from 'vitest'
import { Figures } from '../../../src/server/metrics/figures.js'
import { Histogram, Metrics } from '../../../src/server/metrics/registry.js'
import { newManualClock } from '../../support/manual-clock.js'

test('an apply counts the time since the last one, and as slow above 100 ms', () => {
  const clock = newManualClock()
  const figures = new Figures(clock, 100)
  clock.advance(5_000) // nothing is applied meanwhile
  figures.startApplying()
  for (const [tookMs, isSuccess] of [
    [100, true],
    [101, true],
    [1, false],
  ] as const) {
    clock.advance(tookMs)
    figures.applied('Put', isSuccess)
  }
  expect(figures.slowApplies.value).toBe(1)
  const metrics = new Metrics()
  const { success, failure } = figures.applies.get('Put') ?? {}
  metrics.histograms('took', 'seconds', () => [
    [{ success: 'true' }, success ?? new Histogram([])],
    [{ success: 'false' }, failure ?? new Histogram([])],
  ])
  const text = metrics.text()
  expect(text).toContain('took_bucket{success="true",le="0.1024"} 2\n')
  expect(text).toContain('took_bucket{success="true",le="0.0512"} 0\n')
  expect(text).toContain('took_sum{success="false"} 0.001\n')
})

test('what fails takes its time, too', async () => {
  const clock = newManualClock()
  const figures = new Figures(clock, 100)
  const failing = figures.timed(figures.databaseSaves, async () => {
    clock.advance(3_000)
    throw new Error('no room')
  })
  await expect(failing).rejects.toThrow('no room')
  expect([...figures.databaseSaves.samples({})].slice(-2)).toEqual([
    ['_sum', {}, 3],
    ['_count', {}, 1],
  ])
})
