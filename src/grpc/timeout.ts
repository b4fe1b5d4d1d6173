// timeout.ts: the grpc-timeout header: at most eight digits and a unit, as in 5000m for five
// seconds (H hours, M minutes, S seconds, m milliseconds, u microseconds, n nanoseconds).

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}

const digitsMax = 99_999_999

/** Rounds up, never down: the peer must not give up before we do. */
export function encodeTimeout(ms: number): string {
  for (const unit of ['m', 'S', 'M'] as const) {
    const count = Math.max(1, Math.ceil(ms / (unitMs[unit] ?? 1)))
    if (count <= digitsMax) return `${count}${unit}`
  }
  return `${Math.min(digitsMax, Math.ceil(ms / 3_600_000))}H`
}

/** Milliseconds, or undefined for what is no timeout. */
export function parseTimeout(text: string): number | undefined {
  const unit = unitMs[text.slice(-1)]
  const digits = text.slice(0, -1)
  if (unit === undefined || !/^[0-9]{1,8}$/.test(digits)) return undefined
  return Number(digits) * unit
}
