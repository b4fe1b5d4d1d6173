// options: the flags that every command takes, which help leaves out.
import { defineCommand } from './context.js'
import { globalFlagRows } from './help.js'

export const optionsCommand = defineCommand({
  words: (command) => command,
  options: () => undefined,
  run: (ctx) =>
    ctx.write(`The following options can be passed to any command:\n\n${globalFlagRows()}`),
})
