import { defineConfig } from 'vitest/config'

// Two workers: the suite is made for a machine with two cores, and servers under test need the
// rest. The limits end what hangs, and say nothing about speed: where others use the machine too,
// a test of a few seconds may take a minute.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
