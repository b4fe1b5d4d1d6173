// version: what this build stands in for. The first line names this tool; the number is that of
// the etcdctl whose interface it has, because that is what scripts decide by.
import { apiVersion, etcdVersion } from '../api/version.js'
import { defineCommand } from './context.js'

export const versionCommand = defineCommand({
  words: (command) => command,
  options: () => undefined,
  run: (ctx) => ctx.write(`etcdctl version: ${etcdVersion}\nAPI version: ${apiVersion}\n`),
})
