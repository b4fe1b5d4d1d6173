// humanize.ts: a number of bytes for a person, as etcdctl rounds it.
//
// SI units, base 1000. One decimal below ten, none from ten on, and there a half goes to the even
// neighbour: 20480, the size of an empty database, is 20.5 and prints as `20 kB`. The value does
// not carry into the next unit (999999 is `1000 kB`).

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

export function humanSize(bytes: number | string): string {
  const size = Number(bytes)
  if (size < 10) return `${size} B`
  const exponent = Math.floor(Math.log(size) / Math.log(1000))
  const value = Math.floor((size / 1000 ** exponent) * 10 + 0.5) / 10
  const unit = units[exponent]
  if (unit === undefined) throw new RangeError(`size ${bytes} is out of range`)
  return `${value < 10 ? value.toFixed(1) : halfToEven(value)} ${unit}`
}

function halfToEven(value: number): string {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return String(Math.round(value))
  return String(floor % 2 === 0 ? floor : floor + 1)
}

/** The share of the file that is not in use, from decimal 64-bit sizes. */
export function notInUsePercent(inUse: string, size: string): string {
  const whole = BigInt(size)
  return whole === 0n ? '0%' : `${100n - (BigInt(inUse) * 100n) / whole}%`
}
