// What the members of a cluster should agree on next, as a table.
import { expect, test } from 'vitest'
import { nextVersion, oneMinorDown } from '../../../src/server/membership/cluster-version.js'

const to = (targetVersion: string) => ({ enabled: true, targetVersion })
const cancelled = { enabled: false, targetVersion: '' }

test.each([
  // A cluster that has agreed on nothing yet.
  [undefined, undefined, undefined, '3.0.0'],
  [undefined, '3.7.0', undefined, '3.7.0'],
  // Up with the oldest member, never down with it.
  ['3.0.0', '3.7.0', undefined, '3.7.0'],
  ['3.7.0', '3.7.0', undefined, undefined],
  ['3.7.0', '3.6.0', undefined, undefined],
  ['3.6.0', undefined, undefined, undefined],
  // One minor version down, by request and once.
  ['3.7.0', '3.7.0', to('3.6.0'), '3.6.0'],
  ['3.6.0', '3.7.0', to('3.6.0'), undefined],
  ['3.6.0', '3.6.0', to('3.6.0'), undefined],
  ['3.7.0', undefined, to('3.6.0'), undefined],
  ['3.7.0', '3.7.0', to('3.5.0'), undefined],
  ['3.7.0', '3.6.0', to('3.6.0'), undefined],
  // And up again.
  ['3.6.0', '3.7.0', cancelled, '3.7.0'],
  ['3.6.0', '3.6.0', cancelled, undefined],
])('agreed on %s, all speak %s, downgrade %j: %s', (agreed, smallest, downgrade, next) => {
  expect(nextVersion({ agreed, smallest, downgrade })).toBe(next)
})

test('one minor version down', () => {
  expect(['3.7.1', '3.6', '3.10.0'].map(oneMinorDown)).toEqual(['3.6.0', '3.5.0', '3.9.0'])
})
