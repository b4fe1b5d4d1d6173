// wire-problem.ts: whether the bytes of a request are a message of its type, and what is wrong with
// them if not, in the words of Go's reader. Handlers hand the client's bytes on to the log, often
// without a look at every field; what cannot be read again there would end this member, and every
// other, at each start. So it is looked at before: tags, lengths, wire types, messages inside. It
// is as strict as etcd's reader, which, unlike our codecs, refuses a known field of another type.
import { messages, numbers } from '../../api/gen/schema.js'

interface Field {
  readonly name: string
  /** 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
  readonly wireType: number
  /** Numbers of a list may come one by one or together. */
  readonly isPackable: boolean
  readonly message: Message | undefined
}

/** By number. */
type Message = readonly (Field | undefined)[]

/** Transactions may hold transactions, though not more deeply than they may have operations. */
const depthMax = 1000

/** As protobuf has it. */
const fieldNumberMax = 2 ** 29 - 1

const endOfBytes = 'unexpected EOF'

/** Undefined: they are. `type` is a full name, as in etcdserverpb.RangeRequest. */
export function wireProblem(type: string, bytes: Uint8Array): string | undefined {
  return new Reader(bytes).problemOf(messageOf(type), bytes.length, 0)
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  problemOf(message: Message, end: number, depth: number): string | undefined {
    if (depth > depthMax) return 'proto: exceeded maximum recursion depth'
    while (this.#at < end) {
      const tag = this.#varint(end)
      if (typeof tag === 'string') return tag
      const [number, wireType] = [Math.floor(tag / 8), tag % 8]
      if (number === 0 || number > fieldNumberMax) {
        return `proto: illegal tag ${number} (wire type ${wireType})`
      }
      const field = message[number]
      const problem = fieldProblem(field, wireType) ?? this.#skip(field, wireType, { end, depth })
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #skip(
    field: Field | undefined,
    wireType: number,
    { end, depth }: { end: number; depth: number },
  ): string | undefined {
    if (wireType === 0) {
      const value = this.#varint(end)
      return typeof value === 'string' ? value : undefined
    }
    if (wireType === 1) return this.#jump(8, end)
    if (wireType === 5) return this.#jump(4, end)
    if (wireType === 3) return this.#skipGroup(end, depth)
    if (wireType !== 2) return `proto: illegal wireType ${wireType}`
    const length = this.#varint(end)
    if (typeof length === 'string') return length
    if (length > end - this.#at) return endOfBytes
    if (field?.message === undefined) return this.#jump(length, end)
    return this.problemOf(field.message, this.#at + length, depth + 1)
  }

  /** Nobody sends groups any more; a field that nobody knows may be one. */
  #skipGroup(end: number, depth: number): string | undefined {
    if (depth > depthMax) return 'proto: exceeded maximum recursion depth'
    for (;;) {
      const tag = this.#varint(end)
      if (typeof tag === 'string') return tag
      if (tag % 8 === 4) return undefined
      const problem = this.#skip(undefined, tag % 8, { end, depth: depth + 1 })
      if (problem !== undefined) return problem
    }
  }

  #jump(length: number, end: number): string | undefined {
    if (length > end - this.#at) return endOfBytes
    this.#at += length
    return undefined
  }

  /** Exact up to 2^53, and too large for any length above; or what is wrong with it. */
  #varint(end: number): number | string {
    let value = 0
    let weight = 1
    for (let count = 1; count <= 10; count++) {
      if (this.#at >= end) return endOfBytes
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte & 0x7f) * weight
      if (byte < 0x80) return value
      weight *= 128
    }
    return 'proto: integer overflow'
  }
}

function fieldProblem(field: Field | undefined, wireType: number): string | undefined {
  if (field === undefined || field.wireType === wireType) return undefined
  if (field.isPackable && wireType === 2) return undefined
  return `proto: wrong wireType = ${wireType} for field ${goName(field.name)}`
}

/** range_end as RangeEnd, peerURLs as PeerURLs. */
const goName = (name: string): string =>
  name.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())

const known = new Map<string, Message>()

function messageOf(type: string): Message {
  const found = known.get(type)
  if (found !== undefined) return found
  const fields: (Field | undefined)[] = []
  known.set(type, fields) // before its fields: a transaction holds itself
  const tags = numbers[type] ?? []
  for (const [at, [name, text]] of Object.entries(messages[type] ?? {}).entries()) {
    fields[tags[at] ?? 0] = fieldOf(name, text)
  }
  return fields
}

function fieldOf(name: string, text: string): Field {
  const type = text.replace(/^repeated /, '')
  const message = messages[type] === undefined ? undefined : messageOf(type)
  const isBytes = message !== undefined || type === 'bytes' || type === 'string'
  const wireType = isBytes ? 2 : (fixedTypes[type] ?? 0)
  return { name, wireType, isPackable: type !== text && !isBytes, message }
}

const fixedTypes: Readonly<Record<string, number>> = {
  double: 1,
  fixed64: 1,
  sfixed64: 1,
  float: 5,
  fixed32: 5,
  sfixed32: 5,
}
