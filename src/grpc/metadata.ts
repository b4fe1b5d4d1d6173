// metadata.ts: the name and value pairs that travel beside a call, as HTTP/2 headers. Names are
// lower case. A name that ends in -bin holds base64 text here, as on the wire.
import type { Headers } from './h2/field-section.js'

export type Metadata = Readonly<Record<string, string>>

/** Headers that belong to HTTP/2 or to gRPC itself and are no metadata. */
const reserved = new Set(['te', 'content-type', 'connection', 'host'])

/** The metadata among the headers of a request. */
export function metadataOf(headers: Headers): Metadata {
  const metadata: Record<string, string> = {}
  for (const name in headers) {
    if (name.startsWith(':') || name.startsWith('grpc-') || reserved.has(name)) continue
    const value = headers[name]
    if (value !== undefined) metadata[name] = value
  }
  return metadata
}
