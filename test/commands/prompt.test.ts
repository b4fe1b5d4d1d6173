// A password typed at a terminal: nothing is shown, keys are acted on, and what follows the line
// stays for the next reader.
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/commands/context.js'
import { askPassword } from '../../src/commands/prompt.js'

const never = () => () => undefined

interface Typed {
  answer: string
  shown: string
  isRaw: boolean[]
  rest: string
}

async function typed(keys: string, { isTTY }: { isTTY: boolean }): Promise<Typed> {
  const isRaw: boolean[] = []
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    setRawMode: (raw: boolean) => isRaw.push(raw),
  })
  let shown = ''
  const write = async (text: string): Promise<void> => {
    shown += text
  }
  const asked = askPassword('Password: ', { stdin, write, onInterrupt: never })
  stdin.end(keys)
  const answer = await asked
  return { answer, shown, isRaw, rest: `${stdin.read() ?? ''}` }
}

test.each([
  ['secret\r', 'secret'],
  ['secret\n', 'secret'],
  ['sex\u007fcret\r', 'secret'],
  ['sex\bcret\r', 'secret'],
  ['\u007f\u007fab\u0004', 'ab'],
  [' a b \r', 'a b'],
])('the keys %j on a terminal', async (keys, answer) => {
  const got = await typed(keys, { isTTY: true })
  expect(got).toMatchObject({ answer, shown: 'Password: \n', isRaw: [true, false] })
})

test('elsewhere the line is taken as it is, and what follows stays', async () => {
  const got = await typed('a\u007fb\nrest', { isTTY: false })
  expect(got).toMatchObject({ answer: 'a\u007fb', rest: 'rest', isRaw: [] })
})

test('without a prompt nothing is written', async () => {
  const stdin = new PassThrough()
  const write = async (): Promise<void> => {
    throw new Error('wrote')
  }
  stdin.end('pw\n')
  expect(await askPassword(undefined, { stdin, write, onInterrupt: never })).toBe('pw')
})

test('the end of the input is an empty answer, also to the next question', async () => {
  const stdin = new PassThrough()
  const prompting = { stdin, write: async () => undefined, onInterrupt: never }
  stdin.end('only line')
  expect(await askPassword('1', prompting)).toBe('only line')
  expect(await askPassword('2', prompting)).toBe('')
  expect(await askPassword('3', prompting)).toBe('')
})

test('bytes that are no text stay what they are', async () => {
  const stdin = new PassThrough()
  stdin.end(Buffer.from('p\xff\n', 'latin1'))
  const answer = await askPassword('', { stdin, write: async () => undefined, onInterrupt: never })
  expect(bytes(answer)).toEqual(Buffer.from('p\xff', 'latin1'))
})

describe('the terminal is given back and the command ends with 255', () => {
  const asking = () => {
    const isRaw: boolean[] = []
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (raw: boolean) => isRaw.push(raw),
    })
    let interrupt = (): void => undefined
    const onInterrupt = (callback: () => void) => {
      interrupt = callback
      return () => undefined
    }
    const asked = askPassword('', { stdin, write: async () => undefined, onInterrupt })
    return { asked, isRaw, stdin, interrupt: () => interrupt() }
  }

  test('by Ctrl-C', async () => {
    const { asked, stdin, isRaw } = asking()
    stdin.write('ab\u0003')
    await expect(asked).rejects.toMatchObject({ message: '', exitCode: 255 })
    expect(isRaw).toEqual([true, false])
  })

  test('by a signal', async () => {
    const { asked, isRaw, interrupt } = asking()
    await Promise.resolve() // until the prompt is written
    interrupt()
    await expect(asked).rejects.toMatchObject({ message: '', exitCode: 255 })
    expect(isRaw).toEqual([true, false])
  })
})
