// A password typed at a terminal: nothing is shown, keys are acted on, and what follows the line
// stays for the next reader.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { askPassword } from '../../src/commands/prompt.js'

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
  const interrupt = (): void => undefined
  const asked = askPassword('Password: ', { stdin, write, interrupt })
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

test('Ctrl-C gives the terminal back and interrupts', async () => {
  const isRaw: boolean[] = []
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => isRaw.push(raw),
  })
  const interrupted = new Promise<void>((resolve) => {
    void askPassword('Password: ', { stdin, write: async () => undefined, interrupt: resolve })
  })
  stdin.write('ab\u0003')
  await interrupted
  expect(isRaw).toEqual([true, false])
})
