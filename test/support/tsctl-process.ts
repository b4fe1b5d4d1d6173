// tsctl-process.ts: tsctl from its sources, as a process of its own: what bin/tsctl.js is to the
// bundle. For tests that need a terminal, a signal or a child of the command.
import { endProcess, main, processIo, processWords } from '../../src/main.js'

endProcess(await main(processWords(), processIo()))
