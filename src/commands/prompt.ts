// prompt.ts: asks for a password. The prompt goes to standard output, where etcdctl puts it. On a
// terminal nothing of the answer is shown; elsewhere one line of standard input is the answer.
// SIGINT, SIGTERM and Ctrl-C give the terminal back and end the command with code 255.
import { argument } from './argument.js'
import { CommandError } from './context.js'

export interface Prompting {
  readonly stdin: NodeJS.ReadableStream & {
    readonly isTTY?: boolean
    readonly readableEnded?: boolean
    setRawMode?(isRaw: boolean): unknown
  }
  write(text: string): Promise<void>
  /** Catches SIGINT and SIGTERM until the answer is called. */
  onInterrupt(callback: () => void): () => void
}

/** Longest answer that is waited for, so that a stream without line feeds cannot fill memory. */
const answerBytesMax = 64 * 1024

export async function askPassword(
  prompt: string | undefined,
  { stdin, write, onInterrupt }: Prompting,
): Promise<string> {
  const setRaw = (isRaw: boolean): void => {
    if (stdin.isTTY) stdin.setRawMode?.(isRaw)
  }
  setRaw(true) // before anybody can know that it is time to type
  if (prompt !== undefined) await write(prompt)
  const interrupted = new AbortController()
  const stopCatching = onInterrupt(() => interrupted.abort())
  try {
    const answer = await readLine(stdin, interrupted.signal)
    if (prompt !== undefined) await write('\n')
    return answer.trim()
  } finally {
    stopCatching()
    setRaw(false) // the shell must not get a silent terminal back
  }
}

/** One line, byte by byte, so that what follows it stays in the stream for the next reader. */
function readLine(stdin: Prompting['stdin'], interrupted: AbortSignal): Promise<string> {
  const line: number[] = []
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      stdin.pause()
      stdin.off('readable', onReadable)
      stdin.off('end', onEnd)
      stdin.off('error', onError)
      interrupted.removeEventListener('abort', onInterrupt)
      act()
    }
    const answer = (): void => settle(() => resolve(argument(Buffer.from(line))))
    const onEnd = answer
    const onError = (error: Error): void => settle(() => reject(error))
    const onInterrupt = (): void =>
      settle(() => reject(new CommandError('', { exitCode: interruptedCode })))
    const onReadable = (): void => {
      for (let piece = stdin.read(1); piece !== null; piece = stdin.read(1)) {
        const byte = Buffer.from(piece)[0] ?? 0
        const what = meaning(byte, stdin.isTTY === true)
        const isFull = line.length >= answerBytesMax
        if (what === 'interrupt' || what === 'end' || isFull) {
          if (what === 'interrupt') onInterrupt()
          else answer()
          return
        }
        if (what === 'erase') line.pop()
        else line.push(byte)
      }
    }
    // A stream that ended during an earlier question says so no more.
    if (stdin.readableEnded) {
      resolve('')
      return
    }
    stdin.on('readable', onReadable)
    stdin.on('end', onEnd)
    stdin.on('error', onError)
    interrupted.addEventListener('abort', onInterrupt)
  })
}

/** etcdctl's code for a question that was not answered. */
const interruptedCode = 255

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
