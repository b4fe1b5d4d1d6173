// lines.ts: standard input line by line, for commands that answer while they read.
import { argument } from './context.js'

/** The lines that end; what follows the last line feed is none. */
export async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for await (const piece of input) {
    rest = Buffer.concat([rest, piece])
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield argument(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
  }
}
