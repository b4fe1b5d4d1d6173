// argv.ts: the words of the command line, every byte of them. Node decodes arguments as UTF-8 and
// replaces what is not, so a binary key would be lost. Linux keeps the bytes that the process was
// started with in /proc/self/cmdline, each argument ended by NUL; they are looked up only when a
// replacement character shows that something may have been lost. Elsewhere (macOS, Windows) the
// decoded words must do.
import { readFileSync } from 'node:fs'
import { argument } from './argument.js'

/** The last `words.length` arguments of this process, in the form that bytes() understands. */
export function typedWords(words: readonly string[], readBytes = startBytes): readonly string[] {
  if (!words.some((word) => word.includes('\ufffd'))) return words
  const started = readBytes()
  if (started === undefined) return words
  const all = splitAtNul(started)
  const typed = all.slice(all.length - words.length)
  // Something else than the start of this process (a changed title) must not replace what we have.
  const isSame = typed.length === words.length && typed.every((data, i) => `${data}` === words[i])
  return isSame ? typed.map(argument) : words
}

function startBytes(): Buffer | undefined {
  try {
    return readFileSync('/proc/self/cmdline')
  } catch {
    return undefined
  }
}

function splitAtNul(data: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0, at)
    const stop = end < 0 ? data.length : end
    parts.push(data.subarray(at, stop))
    at = stop + 1
  }
  return parts
}
