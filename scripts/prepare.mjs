// What `npm start` and `npm test` need first on a bare clone: packages and a build. Plain
// JavaScript without imports from packages, because there may be none yet.
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'

export const root = path.join(import.meta.dirname, '..')

/**
 * Installs what package-lock.json names, unless the installed tree is as new as the lock, or is
 * that of another checkout: npm would empty it there.
 */
export function ensureInstalled() {
  const modules = path.join(root, 'node_modules')
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  const marker = path.join(modules, '.package-lock.json')
  const lock = path.join(root, 'package-lock.json')
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return
  console.log('installing packages (once) ...')
  // npm, not its shell script: works the same wherever Node is.
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

/** Builds dist/, unless it is newer than everything it is made of. */
export function ensureBuilt() {
  const built = newest(path.join(root, 'dist'))
  const sources = ['src', 'scripts', 'package.json', 'tsconfig.json']
  const changed = Math.max(...sources.map((each) => newest(path.join(root, each))))
  if (built > changed) return
  console.log('building ...')
  run(process.execPath, [path.join(root, 'scripts/build.mjs')])
}

export function run(command, args, options = {}) {
  execFileSync(command, args, { cwd: root, stdio: 'inherit', ...options })
}

/** Time of the newest file at or below a path, 0 when there is none. */
function newest(at) {
  if (!existsSync(at)) return 0
  const stats = statSync(at)
  if (!stats.isDirectory()) return stats.mtimeMs
  return Math.max(0, ...readdirSync(at).map((name) => newest(path.join(at, name))))
}
