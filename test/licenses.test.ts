// Every library that the README says is bundled has its license in the package.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = path.join(import.meta.dirname, '..')

test('what is bundled goes with its license and whose it is', async () => {
  const program = path.join(root, 'scripts/licenses.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [program])
  const [, ...licenses] = stdout.split(/^(?=\S+ \d\S*: \S)/m)
  const named = licenses.map((text) => text.replace(/ .*/s, ''))
  const readme = await readFile(path.join(root, 'README.md'), 'utf8')
  const libraries = [...readme.matchAll(/^\| \[(\S+)\]\(\S+\) \|/gm)].map(([, name]) => name)
  expect(libraries).toContain('yaml')
  expect(named).toEqual(expect.arrayContaining(libraries))
  expect(licenses.filter((text) => !/copyright/i.test(text))).toEqual([])
})
