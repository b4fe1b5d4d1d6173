// duration.ts: a span of time as Go prints it.
//
// Below a second the largest unit that leaves a whole part (ns, µs, ms); from a second on hours,
// minutes and seconds, where smaller units are kept although zero (1h0m0s). Fractions are exact
// and without trailing zeros.

const nsPerMicro = 1_000n
const nsPerMilli = 1_000_000n
const nsPerSecond = 1_000_000_000n

export function durationText(ns: bigint): string {
  if (ns < 0n) return `-${durationText(-ns)}`
  if (ns === 0n) return '0s'
  if (ns < nsPerMicro) return `${ns}ns`
  if (ns < nsPerMilli) return `${decimal(ns, nsPerMicro)}µs`
  if (ns < nsPerSecond) return `${decimal(ns, nsPerMilli)}ms`
  const minutes = ns / (60n * nsPerSecond)
  const seconds = `${decimal(ns % (60n * nsPerSecond), nsPerSecond)}s`
  if (minutes === 0n) return seconds
  const rest = `${minutes % 60n}m${seconds}`
  return minutes < 60n ? rest : `${minutes / 60n}h${rest}`
}

/** value / unit, where unit is a power of ten, without trailing zeros. */
function decimal(value: bigint, unit: bigint): string {
  const places = unit.toString().length - 1
  const fraction = (value % unit).toString().padStart(places, '0').replace(/0+$/, '')
  return fraction === '' ? `${value / unit}` : `${value / unit}.${fraction}`
}
