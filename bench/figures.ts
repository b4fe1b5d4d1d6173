// figures.ts: what a measurement says: two figures side by side, their ratio, and the goal that
// the ratio is held against. Seconds of one machine mean little; the ratio travels.

export interface Comparison {
  what: string
  ours: { name: string; text: string }
  theirs: { name: string; text: string }
  /** Ours divided by theirs. */
  ratio: number
  goal: { atMost: number } | { atLeast: number } | undefined
}

/** Writes one line, or a remark. */
export type Print = (line: Comparison | string) => void

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2
}

/** The median, and between which values it lies: 61.2 ms (58.1-70.3). */
export function spread(samples: readonly number[], digits: number, unit: string): string {
  const texts = [median(samples), Math.min(...samples), Math.max(...samples)].map((each) =>
    each.toFixed(digits),
  )
  return samples.length === 1
    ? `${texts[0]} ${unit}`
    : `${texts[0]} ${unit} (${texts[1]}-${texts[2]})`
}

/** Both sides measured in the same unit, run by run; the ratio is that of the medians. */
export function compared(
  what: string,
  ours: { name: string; samples: readonly number[] },
  theirs: { name: string; samples: readonly number[] },
  { digits, unit, goal }: { digits: number; unit: string; goal?: Comparison['goal'] },
): Comparison {
  return {
    what,
    ours: { name: ours.name, text: spread(ours.samples, digits, unit) },
    theirs: { name: theirs.name, text: spread(theirs.samples, digits, unit) },
    ratio: median(ours.samples) / median(theirs.samples),
    goal,
  }
}

export function lineText({ what, ours, theirs, ratio, goal }: Comparison): string {
  const figures = [ours, theirs].map(({ name, text }) => `${name} ${text}`.padEnd(34))
  const line = `${what.padEnd(40)} ${figures.join(' ')} ${ratio.toFixed(2).padStart(6)} x`
  if (goal === undefined) return line
  const isMet = 'atMost' in goal ? ratio <= goal.atMost : ratio >= goal.atLeast
  const bound = 'atMost' in goal ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`
  return `${line}   goal ${bound} x: ${isMet ? 'met' : 'MISSED'}`
}
