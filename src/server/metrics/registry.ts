// registry.ts: figures about a member for Prometheus, in its text format and under the names that
// etcd gives them, because dashboards and alerts ask for those. A family is one name with its help
// and type; a sample is one combination of label values.

export type Labels = Readonly<Record<string, string>>
export type Sample = readonly [labels: Labels, value: number]

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Suffix of the name, labels, value. */
  samples(): Iterable<readonly [suffix: string, labels: Labels, value: number]>
}

/** Steps of which each is twice the one before. */
export const exponential = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => first * 2 ** at)

/** Seconds; the usual ones for calls. */
export const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

export class Counter {
  value = 0

  add(amount = 1): void {
    this.value += amount
  }
}

export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  get count(): number {
    return this.#count
  }

  observe(value: number): void {
    this.#sum += value
    this.#count++
    const at = this.#bounds.findIndex((bound) => value <= bound)
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  *samples(labels: Labels): Generator<readonly [string, Labels, number]> {
    let sum = 0
    for (const [at, bound] of this.#bounds.entries()) {
      sum += this.#counts[at] ?? 0
      yield ['_bucket', { ...labels, le: goNumber(bound) }, sum]
    }
    yield ['_bucket', { ...labels, le: '+Inf' }, this.#count]
    yield ['_sum', labels, this.#sum]
    yield ['_count', labels, this.#count]
  }
}

export class Metrics {
  readonly #families: Family[] = []

  counter(name: string, help: string): Counter {
    const counter = new Counter()
    this.read('counter', name, help, () => counter.value)
    return counter
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds)
    this.#families.push({ name, help, type: 'histogram', samples: () => histogram.samples({}) })
    return histogram
  }

  /** A figure that is looked up when it is asked for: one value, or one for each labels. */
  read(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    look: () => number | Iterable<Sample>,
  ): void {
    const samples = function* () {
      const found = look()
      if (typeof found === 'number') yield ['', {}, found] as const
      else for (const [labels, value] of found) yield ['', labels, value] as const
    }
    this.#families.push({ name, help, type, samples })
  }

  /** Histograms that differ in their labels. */
  histograms(name: string, help: string, look: () => Iterable<readonly [Labels, Histogram]>): void {
    const samples = function* () {
      for (const [labels, histogram] of look()) yield* histogram.samples(labels)
    }
    this.#families.push({ name, help, type: 'histogram', samples })
  }

  /** By name; a family without samples is left out. */
  text(): string {
    const families = this.#families.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return families.map(familyText).join('')
  }
}

function familyText({ name, help, type, samples }: Family): string {
  const lines: string[] = []
  for (const [suffix, labels, value] of samples()) {
    lines.push(`${name}${suffix}${labelText(labels)} ${value}\n`)
  }
  if (lines.length === 0) return ''
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

/** As Go writes a number, since a label is compared letter by letter: 8.388608e+06. */
function goNumber(value: number): string {
  if (value < 1e6) return String(value)
  return value.toExponential().replace(/e\+(\d)$/, 'e+0$1')
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escaped = (value: string): string =>
  value.replace(/[\\"]/g, (char) => `\\${char}`).replaceAll('\n', '\\n')
