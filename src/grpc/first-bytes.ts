// first-bytes.ts: tells from the first bytes of a connection what the client speaks. HTTP/2 opens
// with a fixed preface (PRI * HTTP/2.0 ...), HTTP/1.1 with a method in capitals, TLS with a
// handshake record (0x16 0x03); PRI is no method of HTTP/1.1.

export type Protocol = 'http2' | 'http1' | 'tls' | 'unknown'

/** Undefined: more bytes are needed. Three are always enough. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  const [first, second, third] = bytes
  if (first === undefined) return undefined
  if (first === 0x16) return 'tls'
  if (!isCapital(first)) return 'unknown'
  if (second === undefined || third === undefined) return undefined
  const isPreface = first === 0x50 && second === 0x52 && third === 0x49
  if (isPreface) return 'http2'
  return isCapital(second) && isCapital(third) ? 'http1' : 'unknown'
}

function isCapital(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a
}
