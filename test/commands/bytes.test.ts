// Arguments that are not text: every byte of them arrives, from the command line to the key.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { typedWords } from '../../src/commands/argv.js'
import { argument, bytes, goQuote } from '../../src/commands/context.js'

const asBuffer = (data: Uint8Array): Buffer => Buffer.from(data)

test('any bytes survive as an argument', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }).map(asBuffer), (data) => {
      expect(bytes(argument(data))).toEqual(data)
    }),
    { numRuns: 2000 },
  )
})

test('bytes between valid characters survive, real replacement characters too', () => {
  const data = Buffer.concat([Buffer.from('é\ufffd'), Buffer.of(0xff, 0xc3), Buffer.from('😀z')])
  expect(bytes(argument(data))).toEqual(data)
})

test('valid text is its own argument', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(argument(Buffer.from(text))).toBe(text)
      expect(bytes(text)).toEqual(Buffer.from(text))
    }),
  )
})

test('a message shows such bytes as Go does', () => {
  expect(goQuote(argument(Buffer.of(0x61, 0xff, 0x22)))).toBe('"a\\xff\\""')
})

const cmdline = (...words: Buffer[]): Buffer =>
  Buffer.concat(words.flatMap((word) => [word, Buffer.of(0)]))

test('the words that the process was started with give the bytes back', () => {
  const started = cmdline(Buffer.from('node'), Buffer.from('tsctl'), Buffer.of(0xff, 0xfe))
  const [word = ''] = typedWords(['\ufffd\ufffd'], () => started)
  expect(bytes(word)).toEqual(Buffer.of(0xff, 0xfe))
})

test('an empty word keeps its place', () => {
  const started = cmdline(Buffer.from('node'), Buffer.from(''), Buffer.of(0xff), Buffer.from(''))
  expect(typedWords(['', '\ufffd', ''], () => started).map(bytes)).toEqual([
    Buffer.of(),
    Buffer.of(0xff),
    Buffer.of(),
  ])
})

test('the start of the process is not looked up for plain words', () => {
  const refuse = (): never => {
    throw new Error('looked up')
  }
  expect(typedWords(['get', 'ä'], refuse)).toEqual(['get', 'ä'])
})

test('a start that does not match is not believed', () => {
  expect(typedWords(['\ufffd'], () => cmdline(Buffer.from('other')))).toEqual(['\ufffd'])
  expect(typedWords(['\ufffd'], () => undefined)).toEqual(['\ufffd'])
})
