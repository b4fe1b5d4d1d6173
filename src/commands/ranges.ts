// ranges.ts: which keys a command is about, from its positionals and from --prefix and --from-key,
// as get and del have them.
import { fromKeyRange, type KeyRange, prefixRange } from '../connection/key-range.js'
import { bytes, UsageError } from './context.js'

export interface RangeWords {
  readonly prefix: boolean
  readonly fromKey: boolean
}

export function checkRangeFlags({ prefix, fromKey }: RangeWords): void {
  if (prefix && fromKey) {
    throw new UsageError('`--prefix` and `--from-key` cannot be set at the same time, choose one')
  }
}

/** Without an end it is the one key. */
export function keyRange(
  { prefix, fromKey }: RangeWords,
  key: string,
  end: string | undefined,
): KeyRange {
  if (end !== undefined && (prefix || fromKey)) {
    const problem = 'too many arguments, only accept one argument when `--prefix` or `--from-key`'
    throw new UsageError(`${problem} is set`)
  }
  if (prefix) return prefixRange(bytes(key))
  if (fromKey) return fromKeyRange(bytes(key))
  return { key: bytes(key), range_end: bytes(end ?? '') }
}
