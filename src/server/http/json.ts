// json.ts: messages as JSON, the way the gateway of etcd has it. Requests may spell fields as in
// the .proto files or in lowerCamel case, 64-bit numbers as strings or numbers, enums by name or
// number; what nobody knows is skipped. Answers spell fields as the .proto files do, write 64-bit
// numbers as strings, bytes as base64, enums by name, and leave out what is zero.
import * as auth from '../../api/gen/auth.js'
import * as election from '../../api/gen/election.js'
import * as kv from '../../api/gen/kv.js'
import * as lock from '../../api/gen/lock.js'
import * as rpc from '../../api/gen/rpc.js'
import { enums, messages } from '../../api/gen/schema.js'
import { RpcError, Status } from '../../grpc/status.js'
import { type Json, jsonString } from '../../storage/exact-json.js'

type Codec = rpc.MessageFns<unknown>

const modules: Readonly<Record<string, unknown>> = { ...auth, ...kv, ...rpc, ...lock, ...election }

/** `type` is a full name, as in etcdserverpb.RangeRequest. */
function codecOf(type: string): Codec {
  const found = modules[type.slice(type.lastIndexOf('.') + 1)]
  if (!isCodec(found)) throw new Error(`${type} is no message`)
  return found
}

function isCodec(value: unknown): value is Codec {
  return typeof value === 'object' && value !== null && 'encode' in value && 'decode' in value
}

/** The encoded message. @throws RpcError invalidArgument for JSON that does not fit */
export function encodeJson(type: string, value: Json): Uint8Array {
  const codec = codecOf(type)
  return codec.encode(codec.fromPartial(messageOf(type, value) ?? {})).finish()
}

export function decodeToJson(type: string, data: Uint8Array): string {
  return messageText(type, codecOf(type).decode(Buffer.from(data)))
}

function messageOf(type: string, value: Json): object | undefined {
  if (value === null) return undefined
  if (!(value instanceof Map)) throw misfit(type, value)
  const message: Record<string, unknown> = {}
  for (const [name, fieldType] of Object.entries(messages[type] ?? {})) {
    const given = value.get(name) ?? value.get(lowerCamel(name))
    if (given === undefined || given === null) continue
    message[name] = fieldOf(`${type}.${name}`, fieldType, given)
  }
  return message
}

function fieldOf(name: string, type: string, value: Json): unknown {
  const [, element] = /^repeated (.*)$/.exec(type) ?? []
  if (element === undefined) return singleOf(name, type, value)
  if (!Array.isArray(value)) throw misfit(name, value)
  return value.map((item) => singleOf(name, element, item))
}

function singleOf(name: string, type: string, value: Json): unknown {
  if (messages[type] !== undefined) return messageOf(type, value)
  const numbers = enums[type]
  if (numbers !== undefined) {
    const number = typeof value === 'string' ? numbers[value] : Number(value)
    if (number === undefined || !Number.isInteger(number)) throw misfit(name, value)
    return number
  }
  switch (type) {
    case 'bytes':
      return bytesOf(name, value)
    case 'string':
      if (typeof value !== 'string') throw misfit(name, value)
      return value
    case 'bool':
      if (typeof value !== 'boolean') throw misfit(name, value)
      return value
    case 'int64':
    case 'uint64':
      return String(wholeNumber(name, value, { bits: 64, signed: type === 'int64' }))
    default:
      return Number(wholeNumber(name, value, { bits: 32, signed: type === 'int32' }))
  }
}

/** Standard or URL alphabet, with or without padding. */
function bytesOf(name: string, value: Json): Buffer {
  if (typeof value !== 'string' || !/^[\w+/-]*={0,2}$/.test(value)) throw misfit(name, value)
  return Buffer.from(value, 'base64')
}

function wholeNumber(
  name: string,
  value: Json,
  { bits, signed }: { bits: number; signed: boolean },
): bigint {
  const isWritten = typeof value === 'string' && /^-?\d+$/.test(value)
  const isWhole = typeof value === 'number' && Number.isSafeInteger(value)
  if (!isWritten && !isWhole && typeof value !== 'bigint') throw misfit(name, value)
  const number = BigInt(value)
  const fits = signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number)
  if (fits !== number) throw misfit(name, value)
  return number
}

function misfit(name: string, value: Json): RpcError {
  const shown = value instanceof Map ? 'an object' : Array.isArray(value) ? 'a list' : String(value)
  const isWord = typeof value === 'string'
  const problem = `invalid value for field ${name}: ${isWord ? jsonString(value) : shown}`
  return new RpcError(Status.invalidArgument, problem)
}

/** range_end → rangeEnd */
const lowerCamel = (name: string): string =>
  name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())

function messageText(type: string, message: unknown): string {
  const parts: string[] = []
  if (typeof message !== 'object' || message === null) return 'null'
  const values = new Map(Object.entries(message))
  for (const [name, fieldType] of Object.entries(messages[type] ?? {})) {
    const text = fieldText(fieldType, values.get(name))
    if (text !== undefined) parts.push(`"${name}":${text}`)
  }
  return `{${parts.join(',')}}`
}

/** Undefined for what is left out. */
function fieldText(type: string, value: unknown): string | undefined {
  const [, element] = /^repeated (.*)$/.exec(type) ?? []
  if (element === undefined) return isZero(value) ? undefined : singleText(type, value)
  if (!Array.isArray(value) || value.length === 0) return undefined
  return `[${value.map((item) => singleText(element, item)).join(',')}]`
}

function isZero(value: unknown): boolean {
  if (value === undefined || value === false || value === 0) return true
  return value === '' || value === '0' || (Buffer.isBuffer(value) && value.length === 0)
}

function singleText(type: string, value: unknown): string {
  if (messages[type] !== undefined) return messageText(type, value)
  if (Buffer.isBuffer(value)) return `"${value.toString('base64')}"`
  const numbers = enums[type]
  if (numbers !== undefined) {
    const name = Object.keys(numbers).find((each) => numbers[each] === value)
    return name === undefined ? String(value) : `"${name}"`
  }
  return typeof value === 'string' ? jsonString(value) : String(value)
}
