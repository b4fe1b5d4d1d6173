// format.ts: the door of this folder: the choice of a format by its name.
//
// formatFor is async because a rare format, above all the table with cli-table3 and chalk, is only
// loaded when it is asked for; print itself is synchronous in every format. A format is chosen
// before the request and may refuse a result after it: etcdctl stores the key of
// `put k v -w table` and then fails, and scripts may count on that.

import { newJson } from './json.js'
import type { Format, FormatSettings } from './result.js'
import { newSimple } from './simple.js'
import { UnsupportedFormatError } from './unsupported.js'

export type {
  EndpointAnswer,
  EndpointHealth,
  Format,
  FormatName,
  FormatSettings,
  Output,
  Result,
  ResultKind,
  ResultOf,
  RoleAnswer,
  SnapshotHashKv,
  SnapshotReport,
  SnapshotStatus,
  TableStyle,
} from './result.js'
export { formatNames, tableStyles } from './result.js'
export { UnsupportedFormatError } from './unsupported.js'

/** Finds the format by its exact name. Throws UnsupportedFormatError for any other. */
export async function formatFor(name: string, settings: FormatSettings): Promise<Format> {
  switch (name) {
    case 'simple':
      return newSimple(settings)
    case 'json':
      return newJson(settings)
    case 'fields':
      return (await import('./fields.js')).newFields(settings)
    case 'protobuf':
      return (await import('./protobuf.js')).newProtobuf()
    case 'table':
      return (await import('./table.js')).newTable(settings)
    default:
      throw UnsupportedFormatError.unknownName()
  }
}
