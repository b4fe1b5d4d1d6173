// Completion scripts: they offer what is declared, and the shell at hand takes them.
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { table } from '../../src/commands/table.js'
import { run } from './run.js'

test.each([
  [[], 'accepts 1 arg(s), received 0'],
  [['bash', 'x'], 'accepts 1 arg(s), received 2'],
  [['tcsh'], 'invalid argument "tcsh" for "tsctl completion"'],
])('%j is refused with usage', async (words, message) => {
  const got = await run(['completion', ...words])
  expect(got.code).toBe(1)
  expect(got.stderr).toMatch(new RegExp(`^Error: ${message.replace(/[()]/g, '\\$&')}\nUsage:\n`))
})

/** What bash offers for the line; the last word is the one being typed. */
async function offered(...line: string[]): Promise<string[]> {
  const { stdout } = await run(['completion', 'bash'])
  const words = ['tsctl', ...line].map((word) => `'${word}'`).join(' ')
  const script =
    `${stdout}\nCOMP_WORDS=(${words})\nCOMP_CWORD=${line.length}\n` +
    `_tsctl tsctl '${line.at(-1)}'\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`
  const { stdout: answer, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  expect(stderr).toBe('')
  return answer.split('\n').filter((word) => word !== '')
}

const hasBash = spawnSync('bash', ['-c', 'true']).status === 0

test.skipIf(!hasBash)('bash offers commands, words below them, and flags', async () => {
  expect(await offered('')).toEqual(expect.arrayContaining(table.map(({ name }) => name)))
  expect(await offered('de')).toEqual(['del', 'defrag'])
  expect(await offered('member', 're')).toEqual(['remove'])
  expect(await offered('--hex', 'member', 're')).toEqual(['remove'])
  expect(await offered('get', '--pr')).toEqual(['--prefix', '--print-value-only'])
  expect(await offered('endpoint', 'hashkv', '--re')).toEqual(['--rev'])
  expect(await offered('endpoint', 'hashkv', '--clu')).toEqual(['--cluster'])
  expect(await offered('put', '--print')).toEqual([])
})

test.each(['zsh', 'fish'])('%s gets every command and flag', async (shell) => {
  const text = `${(await run(['completion', shell])).stdout}`
  for (const { name } of table) expect(text).toContain(name)
  expect(text).toContain('print-value-only')
  expect(text).toContain('hashkv')
})
