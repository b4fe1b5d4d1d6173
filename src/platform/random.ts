// random.ts: chance, as a thing that can be passed in, so that a simulation can replay a seed.
import { randomBytes, randomInt } from 'node:crypto'

export interface Random {
  /** A whole number in [0, limit), limit at most 2^48 - 1. */
  below(limit: number): number
  /** That many random bytes, fit for tokens. */
  bytes(count: number): Buffer
}

export const systemRandom: Random = {
  below: (limit) => randomInt(limit),
  bytes: (count) => randomBytes(count),
}
