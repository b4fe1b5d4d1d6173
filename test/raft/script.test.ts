// Runs every script of fixtures/raft. UPDATE_GOLDEN=1 rewrites what the commands print.
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runScript } from './datadriven.js'
import { ScriptCluster } from './script-cluster.js'

const folder = new URL('../../fixtures/raft/', import.meta.url)

for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt'))) {
  test(`script ${name}`, () => {
    const cluster = new ScriptCluster()
    const path = new URL(name, folder).pathname
    for (const { command, printed } of runScript(path, (each) => cluster.run(each))) {
      expect(printed, `${name}:${command.line}`).toBe(command.expected)
    }
  })
}
