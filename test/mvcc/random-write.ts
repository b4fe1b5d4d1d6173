// random-write.ts: writes that fast-check makes up: three puts to one delete.
import fc from 'fast-check'
import type { Write } from './model.js'

export interface WriteParts {
  key: fc.Arbitrary<string>
  end: fc.Arbitrary<string | undefined>
  value: fc.Arbitrary<string>
  lease: fc.Arbitrary<bigint>
}

export const randomWrite = ({ key, end, value, lease }: WriteParts): fc.Arbitrary<Write> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('put' as const), key, value, lease }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, end }) },
  )
