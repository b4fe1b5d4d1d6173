// field-section.ts: the headers or the trailers of a request or an answer, put together field by
// field, and whether RFC 9113 §8 lets it have them.
import { type Field, pseudoBit } from './field.js'

/** Names are in lower case. The object has no prototype: any name may be asked for. */
export type Headers = Readonly<Record<string, string>>

/** Requests with the same header block may share one. */
export interface FieldSection {
  readonly headers: Headers
  /** The sum of the bits of the pseudo headers that are there. */
  readonly pseudo: number
  /** Why neither headers nor trailers may be so; the first reason found. */
  readonly fault: string | undefined
  /** Longer than the limit; then the headers are those before it. */
  readonly isTooLarge: boolean
}

/** Object.create(null) would make a dictionary, which is slower than an object with a shape. */
const nothing: object = Object.create(null)

export class FieldSectionBuilder implements FieldSection {
  readonly headers: Record<string, string> = Object.create(nothing)
  pseudo = 0
  fault: string | undefined = undefined
  isTooLarge = false
  /** Whether a value was put together from several fields. */
  isJoined = false
  #hasRegular = false
  #bytesLeft: number

  /** `bytesMax` counts fields as tables do. */
  constructor(bytesMax: number) {
    this.#bytesLeft = bytesMax
  }

  add(field: Field): void {
    this.#bytesLeft -= field.size
    // A block of a kilobyte can name a long field a thousand times: nothing is kept of that.
    if (this.#bytesLeft < 0) this.isTooLarge = true
    if (this.isTooLarge) return
    this.fault ??= field.fault ?? this.#orderFault(field)
    this.pseudo |= field.pseudo
    if (field.pseudo === 0) this.#hasRegular = true
    const { name, value } = field
    const earlier = this.headers[name]
    if (earlier === undefined) this.headers[name] = value
    else this.#join(name, earlier, value)
  }

  #orderFault({ name, pseudo }: Field): string | undefined {
    if (pseudo === 0) return undefined
    if (this.#hasRegular) return `${name} after regular header fields`
    return (this.pseudo & pseudo) === 0 ? undefined : `duplicate ${name}`
  }

  #join(name: string, earlier: string, value: string): void {
    if (name.startsWith(':') || single.has(name)) return
    this.isJoined = true
    this.headers[name] = `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`
  }
}

/** Of these the first counts, as in node:http2; of others, all. */
const single: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

const { method, scheme, path, authority, status } = pseudoBit

/** Why a request with these headers is malformed; undefined if it is not. */
export function requestFault({ headers, pseudo, fault }: FieldSection): string | undefined {
  if (fault !== undefined) return fault
  if ((pseudo & status) !== 0) return ':status in a request'
  if ((pseudo & method) === 0) return 'no :method'
  if (headers[':method'] === 'CONNECT') {
    return (pseudo & ~method) === authority ? undefined : 'CONNECT is to an :authority alone'
  }
  if ((pseudo & scheme) === 0) return 'no :scheme'
  if ((pseudo & path) === 0) return 'no :path'
  return headers[':path'] === '' ? 'an empty :path' : undefined
}

/** Why an answer with these headers is malformed. */
export function answerFault({ headers, pseudo, fault }: FieldSection): string | undefined {
  if (fault !== undefined) return fault
  if (pseudo !== status) return ':status alone is of answers'
  return /^\d{3}$/.test(headers[':status'] ?? '') ? undefined : 'a :status that is no number'
}

/** Why a request or an answer with these trailers is malformed. */
export function trailersFault({ pseudo, fault }: FieldSection): string | undefined {
  return fault ?? (pseudo === 0 ? undefined : 'pseudo header fields in trailers')
}
