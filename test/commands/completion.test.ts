// Completion scripts: they offer what is declared, in the shells themselves. A shell that is not
// installed is skipped and says so; with INTEROP=required its absence is a failure. PowerShell is
// installed nowhere: of its script only the text is looked at.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { afterAll, describe, expect, test } from 'vitest'
import { flagValues, offersOf, shellNames } from '../../src/commands/completion-offers.js'
import { globalFlags } from '../../src/commands/global-flags.js'
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
  expect(got.stdout.toString()).toBe('')
})

test('the values of a flag are those that its help names', async () => {
  const descriptions = new Map(globalFlags.map(({ name, description }) => [name, [description]]))
  for (const { name, load } of table) {
    const defined = await load()
    const below = defined.kind === 'group' ? Object.values(defined.commands) : []
    for (const { words } of [defined, ...below.map(({ command }) => command)]) {
      for (const { long, description } of words(new Command(name)).options) {
        const flag = (long ?? '').slice(2)
        descriptions.set(flag, [...(descriptions.get(flag) ?? []), description])
      }
    }
  }
  for (const [flag, values] of Object.entries(flagValues)) {
    const texts = descriptions.get(flag) ?? []
    expect(texts.length, flag).toBeGreaterThan(0)
    for (const text of texts) {
      for (const value of values) expect(text).toMatch(new RegExp(`\\b${value}\\b`))
    }
  }
})

const dir = mkdtempSync(path.join(tmpdir(), 'completion-'))
afterAll(() => rmSync(dir, { recursive: true }))

const commandNames = table.map(({ name }) => name).sort()

/** The line up to the cursor, and what is offered for its last word. */
const cases: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['tsctl ', commandNames],
  ['tsctl de', ['defrag', 'del']],
  ['tsctl member re', ['remove']],
  ['tsctl role ', ['add', 'delete', 'get', 'grant-permission', 'list', 'revoke-permission']],
  ['tsctl help mem', ['member']],
  ['tsctl completion ', [...shellNames].sort()],
  ['tsctl get --pr', ['--prefix', '--print-value-only']],
  ['tsctl get --w', ['--write-out']],
  ['tsctl endpoint hashkv --re', ['--rev']],
  ['tsctl endpoint hashkv --clu', ['--cluster']],
  ['tsctl put --print', []],
  ['tsctl put mem', []],
  // Values of flags, as a word of their own and behind `=`.
  ['tsctl --write-out ', flagValues['write-out'] ?? []],
  ['tsctl -w j', ['json']],
  ['tsctl --table-style u', ['unicode']],
  ['tsctl get k --order ', ['ASCEND', 'DESCEND']],
  ['tsctl get k --sort-by V', ['VALUE', 'VERSION']],
  ['tsctl member list --consistency ', ['l', 's']],
  ['tsctl check perf --load x', ['xl']],
  ['tsctl --color a', ['always', 'auto']],
  ['tsctl get --write-out=j', ['--write-out=json']],
  ['tsctl get --order=', ['--order=ASCEND', '--order=DESCEND']],
  ['tsctl role grant-permission root ', ['read', 'readwrite', 'write']],
  ['tsctl role grant-permission ', []],
  // A value is not mistaken for a command, nor a flag for its namesake elsewhere.
  ['tsctl --user get del', ['del']],
  ['tsctl --endpoints host:2379 member re', ['remove']],
  ['tsctl --write-out=json --hex member re', ['remove']],
  ['tsctl --user ', []],
  ['tsctl make-mirror --prefix --ord', []],
  ['tsctl get --prefix --ord', ['--order']],
  // What stands behind `--` is another program's.
  ['tsctl run -- --wri', []],
]

async function scriptFile(shell: string): Promise<string> {
  const file = path.join(dir, `script.${shell}`)
  writeFileSync(file, (await run(['completion', shell])).stdout)
  return file
}

/** Runs a program of the shell in an empty directory, so that no file is offered. */
function shellRun(command: string, args: readonly string[]): string {
  const cwd = mkdtempSync(path.join(dir, 'cwd-'))
  const env = { PATH: process.env.PATH, HOME: dir, ZDOTDIR: dir, TERM: 'xterm', LC_ALL: 'C' }
  const got = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 60_000 })
  expect(got.stderr).toBe('')
  return got.stdout
}

/** One block of lines for each line of input. */
const blocks = (output: string): string[][] =>
  [...output.matchAll(/<offers>([\s\S]*?)<\/offers>/g)].map(([, block = '']) =>
    block.split(/\s+/).filter((word) => word !== ''),
  )

const lines = cases.map(([line]) => line)
const single = (text: string): string => `'${text}'`

/** bash: the registered function, with the words as readline breaks them. */
async function bashOffers(): Promise<string[][]> {
  const calls = lines.map((line) => {
    const words = line.split(' ').flatMap((word) => word.split(/([=:])/))
    const whole = words.filter((word, at) => word !== '' || (at === words.length - 1 && at > 0))
    // Behind `=` nothing is typed yet: `=` itself is the word at the cursor.
    const atCursor = line.endsWith('=') ? whole.slice(0, -1) : whole
    const typed = line.endsWith('=') ? '' : (atCursor.at(-1) ?? '')
    return (
      `COMP_WORDS=(${atCursor.map(single).join(' ')}); COMP_CWORD=${atCursor.length - 1}\n` +
      `COMPREPLY=(); $function tsctl ${single(typed)}\n` +
      `echo '<offers>' "\${COMPREPLY[@]}" '</offers>'\n`
    )
  })
  const known = 'function=$(complete -p tsctl | sed -E "s/.* -F ([^ ]+) .*/\\1/")\n'
  const source = `source ${await scriptFile('bash')}\n${known}`
  return blocks(shellRun('bash', ['--norc', '-c', source + calls.join('')]))
}

/** zsh: a person at a terminal who types the line and TAB; what is added is printed instead. */
async function zshOffers(): Promise<string[][]> {
  writeFileSync(
    path.join(dir, '.zshrc'),
    `PS1='' PS2=''; autoload -U compinit; compinit -D -u; source ${await scriptFile('zsh')}
     compadd() { local -a got; builtin compadd -O got "$@"; print -r -- $got }
     offer() { print '<offers>'; _main_complete; print '</offers>' }
     zle -C offer complete-word offer
     bindkey '^I' offer; bindkey '^U' kill-whole-line
     zle-line-init() { print '<ready>' }; zle -N zle-line-init\n`,
  )
  const typed = lines.map(
    (line) => `zpty -w -n z $'${line}\\t'
               zpty -r z seen '*</offers>*'; print -r -- "$seen"
               zpty -w -n z $'\\x15'\n`,
  )
  const driver = `zmodload zsh/zpty; zpty z 'zsh -d -i'; zpty -r z seen '*<ready>*'
    ${typed.join('')}
    zpty -d z\n`
  return blocks(shellRun('zsh', ['-f', '-c', driver]))
}

async function fishOffers(): Promise<string[][]> {
  const asked = lines.map((line) => `echo '<offers>'; complete -C '${line}'; echo '</offers>'\n`)
  const source = `source ${await scriptFile('fish')}\n`
  return blocks(shellRun('fish', ['--no-config', '-c', source + asked.join('')]))
}

const shells = { bash: bashOffers, zsh: zshOffers, fish: fishOffers }

for (const [shell, offers] of Object.entries(shells)) {
  const isHere = spawnSync(shell, ['-c', 'true']).status === 0
  const name = `${shell} offers commands, flags and values`
  if (!isHere && process.env.INTEROP !== 'required') {
    test.skip(`${name} (SKIPPED: ${shell} is not installed)`, () => undefined)
    continue
  }
  describe(name, () => {
    test('for each line', async () => {
      const got = (await offers()).map((words) => [...words].sort())
      // bash completes the part behind `=` alone.
      const shown = (word: string): string => (shell === 'bash' ? word.replace(/.*=/, '') : word)
      expect(lines.map((line, at) => [line, got[at]])).toEqual(
        cases.map(([line, words]) => [line, words.map(shown).sort()]),
      )
    })
  })
}

test('PowerShell gets every path, flag and value', async () => {
  const text = `${(await run(['completion', 'powershell'])).stdout}`
  expect(text).toContain('Register-ArgumentCompleter -Native -CommandName tsctl -ScriptBlock {\n')
  const { paths, common } = await offersOf(table)
  for (const { path: words, flags } of paths) {
    if (words !== '') expect(text).toContain(`'${words}'`)
    if (flags.length > 0) expect(text).toContain(`    '${words}' = '${flags.join(' ')}'\n`)
  }
  expect(text).toContain(`$common = '${common.join(' ')}'\n`)
  for (const [flag, words] of Object.entries(flagValues)) {
    expect(text).toContain(`    '--${flag}' = '${words.join(' ')}'\n`)
  }
  expect(text).toContain("    ' role grant-permission 1' = 'read write readwrite'\n")
  expect(text).toContain("    '-w' = 'fields json protobuf simple table'\n")
})
