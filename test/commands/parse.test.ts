// The rules of pflag, one line each, and the exact text of every refusal.
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { globalFlags } from '../../src/commands/global-flags.js'
import { type Flag, flagOf, ParseError, parse } from '../../src/commands/parse.js'
import { boolean, int64 } from '../../src/commands/values.js'

const declared = new Command('get')
  .option('--prefix', '', false)
  .option('--rev <int>', '', int64, 0n)
  .option('--order <string>', '', '')
const help: Flag = { name: 'help', short: 'h', key: 'help', isBoolean: true, read: boolean }
const flags: readonly Flag[] = [...globalFlags, help, ...declared.options.map(flagOf)]

const values = (...words: string[]): unknown => parse(words, flags).values
const positionals = (...words: string[]): unknown => parse(words, flags).positionals

describe('values', () => {
  test.each([
    [['--order=ASCEND'], { order: 'ASCEND' }],
    [['--order', 'ASCEND'], { order: 'ASCEND' }],
    [['--order='], { order: '' }],
    [['--order', ''], { order: '' }],
    [['--order=a=b'], { order: 'a=b' }],
    [['-w', 'json'], { writeOut: 'json' }],
    [['-wjson'], { writeOut: 'json' }],
    [['-w=json'], { writeOut: 'json' }],
    [['-w='], { writeOut: '=' }],
    [['-hw', 'json'], { help: true, writeOut: 'json' }],
    [['-hwjson'], { help: true, writeOut: 'json' }],
    [['-h=false', 'a'], { help: false }],
    [['--prefix'], { prefix: true }],
    [['--prefix=false'], { prefix: false }],
    [['--prefix=0'], { prefix: false }],
    [['--rev', '-5'], { rev: -5n }],
    [['--rev', '0x10'], { rev: 16n }],
    [['--order', '--prefix'], { order: '--prefix' }],
    [['--order', '--'], { order: '--' }],
    [['--rev=1', '--rev=2'], { rev: 2n }],
    [['--command-timeout=1m30s'], { commandTimeoutMs: 90_000 }],
    [['--endpoints=a,b', '--endpoints', 'c'], { endpoints: ['a', 'b', 'c'] }],
    [['--endpoints='], { endpoints: [] }],
  ] as const)('%j', (words, expected) => {
    expect(values(...words)).toEqual(expected)
  })
})

describe('positionals', () => {
  test.each([
    [
      ['k', '--prefix', 'false'],
      ['k', 'false'],
    ],
    [
      ['--prefix', 'k', '--rev', '3', 'e'],
      ['k', 'e'],
    ],
    [
      ['-', 'a'],
      ['-', 'a'],
    ],
    [[''], ['']],
    [
      ['k', '--', '-x'],
      ['k', '-x'],
    ],
    [
      ['--', '--prefix', '--', '-w'],
      ['--prefix', '--', '-w'],
    ],
  ] as const)('%j', (words, expected) => {
    expect(positionals(...words)).toEqual(expected)
  })

  test('the place of the separator is told', () => {
    expect(parse(['a', 'b', '--', 'c'], flags).beforeSeparator).toBe(2)
    expect(parse(['--', 'c'], flags).beforeSeparator).toBe(0)
    expect(parse(['a', 'b'], flags).beforeSeparator).toBeUndefined()
  })

  test('the flags that were given are told by name', () => {
    const { given } = parse(['--prefix=false', '-w', 'json', 'k'], flags)
    expect([...given]).toEqual(['prefix', 'write-out'])
  })
})

describe('refusals', () => {
  const syntax = (text: string) => `strconv.ParseInt: parsing "${text}": invalid syntax`
  test.each([
    [['--x'], 'unknown flag: --x'],
    [['--x=1'], 'unknown flag: --x'],
    [['--pref'], 'unknown flag: --pref'],
    [['-x'], "unknown shorthand flag: 'x' in -x"],
    [['-prefix'], "unknown shorthand flag: 'p' in -prefix"],
    [['-hxy'], "unknown shorthand flag: 'x' in -xy"],
    [['--order'], 'flag needs an argument: --order'],
    [['-w'], "flag needs an argument: 'w' in -w"],
    [['-hw'], "flag needs an argument: 'w' in -w"],
    [['---x'], 'bad flag syntax: ---x'],
    [['--=x'], 'bad flag syntax: --=x'],
    [['--rev', 'abc'], `invalid argument "abc" for "--rev" flag: ${syntax('abc')}`],
    [['--rev='], `invalid argument "" for "--rev" flag: ${syntax('')}`],
    [
      ['--hex=maybe'],
      'invalid argument "maybe" for "--hex" flag: ' +
        'strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      ['-h=x'],
      'invalid argument "x" for "-h, --help" flag: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    [
      ['--command-timeout=5'],
      'invalid argument "5" for "--command-timeout" flag: time: missing unit in duration "5"',
    ],
    [
      ['--endpoints', 'a"b'],
      'invalid argument "a\\"b" for "--endpoints" flag: ' +
        'parse error on line 1, column 2: bare " in non-quoted field',
    ],
    [
      ['--color', 'red'],
      'invalid argument "red" for "--color" flag: must be one of auto, always, never',
    ],
  ] as const)('%j', (words, message) => {
    expect(() => parse(words, flags)).toThrow(new ParseError(message))
  })

  test('the first word that is wrong is the one that is told about', () => {
    expect(() => parse(['--rev=a', '--x'], flags)).toThrow('invalid argument "a"')
    expect(() => parse(['--x', '--rev=a'], flags)).toThrow('unknown flag: --x')
  })
})
