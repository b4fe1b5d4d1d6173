// `npm test`: types, style and every test, on a bare clone too. Words after `--` go to vitest.
import { ensureBuilt, ensureInstalled, run } from './prepare.mjs'

ensureInstalled()
ensureBuilt()
try {
  run('npm', ['run', '--silent', 'check'])
  run('npx', ['--no-install', 'vitest', 'run', ...process.argv.slice(2)])
} catch {
  // What failed has said so itself.
  process.exitCode = 1
}
