// exact-json.ts: JSON as Go reads and writes it, for the member records and the .snap files. Member
// ids use all 64 bits, which JSON.parse rounds; here a whole number is a bigint. Objects become
// Maps, so that a key such as "__proto__" is a key like any other.

export type Json = null | boolean | number | bigint | string | Json[] | Map<string, Json>

/** Deeper nesting is refused, so that a crafted file cannot exhaust the stack. */
const depthMax = 100

/** The value that `text` holds, or undefined when `text` is not exactly one JSON value. */
export function parseJson(text: string): Json | undefined {
  const parser = new Parser(text)
  try {
    return parser.document()
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** A JSON string with Go's escapes: also `<`, `>`, `&` and the two line separators. */
export function jsonString(text: string): string {
  const wellFormed = Buffer.from(text).toString()
  return JSON.stringify(wellFormed).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Tokens as sticky expressions: each matches at the cursor or not at all. What may stand inside a
 * string is left to JSON.parse, which throws a SyntaxError like the parser here.
 */
const space = /[ \t\n\r]*/y
const literal = /null|true|false/y
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const string = /"[^"\\]*(?:\\.[^"\\]*)*"/y

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): Json {
    const value = this.#value()
    if (this.#at !== this.#text.length) throw new SyntaxError()
    return value
  }

  #value(): Json {
    this.#match(space)
    const value = this.#bare()
    this.#match(space)
    return value
  }

  #bare(): Json {
    const first = this.#text[this.#at]
    if (first === '{') return this.#nested(() => this.#object())
    if (first === '[') return this.#nested(() => this.#array())
    if (first === '"') return this.#string()
    const word = this.#match(literal)
    if (word !== undefined) return word[0] === 'null' ? null : word[0] === 'true'
    const digits = this.#match(number)
    if (digits === undefined) throw new SyntaxError()
    const isWhole = digits[1] === undefined && digits[2] === undefined
    return isWhole ? BigInt(digits[0]) : Number(digits[0])
  }

  #nested<T extends Json>(read: () => T): T {
    if (++this.#depth > depthMax) throw new SyntaxError()
    this.#at++
    const value = read()
    this.#depth--
    return value
  }

  #object(): Map<string, Json> {
    const members = new Map<string, Json>()
    this.#match(space)
    if (this.#skip('}')) return members
    do {
      this.#match(space)
      const name = this.#string()
      this.#match(space)
      if (!this.#skip(':')) throw new SyntaxError()
      members.set(name, this.#value())
    } while (this.#skip(','))
    if (!this.#skip('}')) throw new SyntaxError()
    return members
  }

  #array(): Json[] {
    const elements: Json[] = []
    this.#match(space)
    if (this.#skip(']')) return elements
    do elements.push(this.#value())
    while (this.#skip(','))
    if (!this.#skip(']')) throw new SyntaxError()
    return elements
  }

  #string(): string {
    const token = this.#match(string)
    if (token === undefined) throw new SyntaxError()
    return JSON.parse(token[0]) as string
  }

  #match(token: RegExp): RegExpExecArray | undefined {
    token.lastIndex = this.#at
    const found = token.exec(this.#text)
    if (found === null) return undefined
    this.#at = token.lastIndex
    return found
  }

  #skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }
}
