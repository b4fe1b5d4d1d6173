// log.ts: one JSON line an event, with etcd's field names: level, ts, caller, msg, then the
// event's own fields. Parts log through the interface; who writes the line is not their concern.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** Values of an event's fields. A bigint is written as a bare decimal number. */
export type LogFields = Readonly<Record<string, LogValue>>
export type LogValue = string | number | bigint | boolean | undefined | readonly LogValue[]

export interface Log {
  debug(msg: string, fields?: LogFields): void
  info(msg: string, fields?: LogFields): void
  warn(msg: string, fields?: LogFields): void
  error(msg: string, fields?: LogFields): void
}

const severity: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 }

/** A log that hands each line at or above `level`, LF included, to `write`. */
export function lineLog(level: LogLevel, write: (line: string) => void, wall: () => number): Log {
  const logger =
    (of: LogLevel) =>
    (msg: string, fields: LogFields = {}) => {
      if (severity[of] < severity[level]) return
      const ts = new Date(wall()).toISOString()
      const parts = [`"level":"${of}"`, `"ts":"${ts}"`, `"msg":${JSON.stringify(msg)}`]
      for (const [name, value] of Object.entries(fields)) {
        if (value !== undefined) parts.push(`${JSON.stringify(name)}:${text(value)}`)
      }
      write(`{${parts.join(',')}}\n`)
    }
  return {
    debug: logger('debug'),
    info: logger('info'),
    warn: logger('warn'),
    error: logger('error'),
  }
}

/** A log that says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

function text(value: LogValue): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(text).join(',')}]`
  return JSON.stringify(value)
}
