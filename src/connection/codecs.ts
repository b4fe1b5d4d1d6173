// codecs.ts: how the messages of a service are written and read, and which of its calls may be
// repeated. One module a service, loaded when the service is first used.
import type { MessageFns } from '../api/gen/rpc.js'
import type { Repetition } from './calls.js'

export interface MethodCodec {
  readonly request: MessageFns<unknown>
  readonly response: MessageFns<unknown>
  readonly repetition: Repetition
  /** The fields of the request, at any depth, that may hold the name of a number. */
  readonly enums?: EnumFields
}

/** By field name, the numbers by their names. */
export type EnumFields = Readonly<Record<string, Readonly<Record<string, number>>>>

/** By method name, as etcd3's clients spell it. */
export type ServiceCodecs = Readonly<Record<string, MethodCodec>>

/**
 * The message with the numbers of its enum names: etcd3's users may write `sort_order: 'Descend'`
 * or 'DESCEND'. A message without names is returned as it is.
 */
export function withEnumNumbers(message: unknown, fields: EnumFields): unknown {
  if (Array.isArray(message)) return message.map((item) => withEnumNumbers(item, fields))
  if (message === null || typeof message !== 'object' || Buffer.isBuffer(message)) return message
  const result: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(message)) {
    const numbers = fields[field]
    if (numbers === undefined) result[field] = withEnumNumbers(value, fields)
    else if (Array.isArray(value)) result[field] = value.map((name) => enumNumber(name, numbers))
    else result[field] = enumNumber(value, numbers)
  }
  return result
}

function enumNumber(value: unknown, numbers: Readonly<Record<string, number>>): unknown {
  if (typeof value !== 'string') return value
  const wanted = plain(value)
  const found = Object.entries(numbers).find(([name]) => plain(name) === wanted)
  if (found === undefined) throw new TypeError(`${value} is none of ${Object.keys(numbers)}`)
  return found[1]
}

/** NotEqual and NOT_EQUAL are one name. */
const plain = (name: string): string => name.replaceAll('_', '').toUpperCase()
