import { defineConfig } from 'vitest/config'

// Two workers: the suite is made for a machine with two cores, and servers under test need the
// rest. Tests that run real processes declare longer limits themselves.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
