// prompt.ts: asks for a password. The prompt goes to standard output, where etcdctl puts it. On a
// terminal nothing of the answer is shown; elsewhere one line of standard input is the answer.

export interface Prompting {
  readonly stdin: NodeJS.ReadableStream & {
    readonly isTTY?: boolean
    setRawMode?(isRaw: boolean): unknown
  }
  write(text: string): Promise<void>
  /** What Ctrl-C does while the terminal hands it over as a character. */
  interrupt(): void
}

/** Longest answer that is waited for, so that a stream without line feeds cannot fill memory. */
const answerBytesMax = 64 * 1024

export async function askPassword(prompt: string, prompting: Prompting): Promise<string> {
  const { stdin, write } = prompting
  const setRaw = (isRaw: boolean): void => {
    if (stdin.isTTY) stdin.setRawMode?.(isRaw)
  }
  const interrupt = (): void => {
    setRaw(false) // the shell must not get a silent terminal back
    prompting.interrupt()
  }
  await write(prompt)
  setRaw(true)
  const answer = await readLine({ stdin, write, interrupt }).finally(() => setRaw(false))
  await write('\n')
  return answer.trim()
}

/** One line, byte by byte, so that what follows it stays in the stream for the next reader. */
function readLine({ stdin, interrupt }: Prompting): Promise<string> {
  const line: number[] = []
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      stdin.pause()
      stdin.off('readable', onReadable)
      stdin.off('end', onEnd)
      stdin.off('error', onError)
      act()
    }
    const answer = (): void => settle(() => resolve(Buffer.from(line).toString()))
    const onEnd = answer
    const onError = (error: Error): void => settle(() => reject(error))
    const onReadable = (): void => {
      for (let piece = stdin.read(1); piece !== null; piece = stdin.read(1)) {
        const byte = Buffer.from(piece)[0] ?? 0
        const what = meaning(byte, stdin.isTTY === true)
        if (what === 'interrupt' || what === 'end' || line.length >= answerBytesMax) {
          if (what === 'interrupt') settle(interrupt)
          else answer()
          return
        }
        if (what === 'erase') line.pop()
        else line.push(byte)
      }
    }
    stdin.on('readable', onReadable)
    stdin.on('end', onEnd)
    stdin.on('error', onError)
  })
}

type Meaning = 'interrupt' | 'end' | 'erase' | 'text'

/** A raw terminal hands over the keys that it otherwise acts on itself. */
function meaning(byte: number, isTerminal: boolean): Meaning {
  if (byte === 0x0a) return 'end'
  return (isTerminal ? keys.get(byte) : undefined) ?? 'text'
}

const keys: ReadonlyMap<number, Meaning> = new Map([
  [0x03, 'interrupt'],
  [0x04, 'end'],
  [0x0d, 'end'],
  [0x08, 'erase'],
  [0x7f, 'erase'],
])
