// text-argument.ts: words that travel as text. A key may be any bytes, but the name of a user or
// a role and a password are text in their messages. A word that is not UTF-8 cannot be sent; it is
// refused here, before a name that only looks like it is sent in its place.
import { UsageError } from './context.js'

export function textArgument(word: string): string {
  if (!/[\ud800-\udfff]/u.test(word)) return word
  const problem = 'grpc: error while marshaling: string field contains invalid UTF-8'
  throw new UsageError(`rpc error: code = Internal desc = ${problem}`, 1)
}

/** The only positional of a command, a name. */
export function nameArgument(args: readonly string[], complaint: string): string {
  const [name, ...rest] = args
  if (name === undefined || rest.length > 0) throw new UsageError(complaint)
  return textArgument(name)
}
