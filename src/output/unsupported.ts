// unsupported.ts: the answer to a format that there is not.
//
// etcdctl finds a bad name before it sends a request, but a format without a form for a result
// only when it prints: by then `member add … -w fields` has added the member. Exit code 4.

import type { FormatName } from './result.js'

export class UnsupportedFormatError extends Error {
  override readonly name = 'UnsupportedFormatError'
  readonly exitCode = 4

  static unknownName(): UnsupportedFormatError {
    return new UnsupportedFormatError('unsupported output format')
  }

  static combination(format: FormatName): UnsupportedFormatError {
    return new UnsupportedFormatError(`${format} not supported as output format`)
  }

  /** The one answer that etcdctl tries to encode and cannot; in brackets it shows the answer. */
  static leaseRevokeEncoding(shown: string): UnsupportedFormatError {
    const type = '*clientv3.LeaseRevokeResponse'
    return new UnsupportedFormatError(`marshal unsupported for type ${type} (${shown})`)
  }
}
