// field.ts: one header field, judged once, when it is read: what is in the table is not judged
// again for each request that names it. The rules are those of RFC 9113 §8.2 and §8.3, as strict as
// Go's server reads them: white space around a value, for one, passes.

export interface Field {
  readonly name: string
  readonly value: string
  /** As tables and limits count: RFC 7541 §4.1. */
  readonly size: number
  /** For a pseudo header its bit, otherwise 0. */
  readonly pseudo: number
  /** Why nobody may send a field of this name, whatever its value. */
  readonly nameFault: string | undefined
  /** Why nobody may send this field. */
  readonly fault: string | undefined
}

/** The last is of answers, the others are of requests. */
export const pseudoBit = { method: 1, scheme: 2, path: 4, authority: 8, status: 16 } as const

/** What a field costs beside its bytes. */
export const fieldOverheadBytes = 32

export function fieldOf(name: string, value: string): Field {
  const pseudo = pseudoBits.get(name) ?? 0
  const nameFault = pseudo === 0 ? regularNameFault(name) : undefined
  return withValue({ name, pseudo, nameFault }, value)
}

/** A field of the same name. */
export function withValue(
  { name, pseudo, nameFault }: Pick<Field, 'name' | 'pseudo' | 'nameFault'>,
  value: string,
): Field {
  const fault = nameFault ?? valueFault(name, value)
  const size = name.length + value.length + fieldOverheadBytes
  return { name, value, size, pseudo, nameFault, fault }
}

const pseudoBits: ReadonlyMap<string, number> = new Map([
  [':method', pseudoBit.method],
  [':scheme', pseudoBit.scheme],
  [':path', pseudoBit.path],
  [':authority', pseudoBit.authority],
  [':status', pseudoBit.status],
])

/** The rest of what HTTP/1.1 says about a connection; it has no place in HTTP/2. */
const aboutConnections: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** A token of RFC 9110, without upper case. */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

function regularNameFault(name: string): string | undefined {
  // Quoted: a name that is no name may hold anything.
  if (!fieldName.test(name)) return `invalid header field name ${JSON.stringify(name)}`
  if (aboutConnections.has(name)) return `connection-specific header field ${name}`
  return undefined
}

function valueFault(name: string, value: string): string | undefined {
  if (!isFieldValue(value)) return `invalid value of header field ${name}`
  if (name === 'te' && value.toLowerCase() !== 'trailers') return 'te is not trailers'
  return undefined
}

/** No control characters but tabs, and nothing that is more than a byte. */
export function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false
  }
  return true
}

export const isFieldName = (name: string): boolean => fieldName.test(name)
