// bcrypt against published vectors and against hashes that a real etcd wrote.
import { expect, test } from 'vitest'
import { bcryptSteps, formatHash, parseHash } from '../../src/auth/bcrypt.js'

function hash(password: string, like: string): { text: string; stepCount: number } {
  const parsed = parseHash(like)
  if (parsed === undefined) throw new Error(`${like} is no hash`)
  const steps = bcryptSteps(Buffer.from(password), parsed)
  for (let stepCount = 1; ; stepCount++) {
    const step = steps.next()
    if (step.done) return { text: formatHash({ ...parsed, digest: step.value }), stepCount }
  }
}

// Published with crypt_blowfish and jBCrypt.
test.each([
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['U*U*U', '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'],
  ['', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'],
  ['abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
  ['abcdefghijklmnopqrstuvwxyz', '$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz.'],
  ['', '$2a$10$k1wbIrmNyFAPwPVPSVa/zecw2BCEnBwVS2GbrmgzxFUOqW9dk4TCW'],
])('%j hashes to %s', (password, expected) => {
  expect(hash(password, expected).text).toBe(expected)
})

const long = 'long'.repeat(18)

// Out of databases of etcd 3.4.23 with --bcrypt-cost=5.
test.each([
  [
    'letters of two bytes',
    'pässwörd',
    '$2a$05$n0stZA2LEM9R1uZKxTlJQOwqB.x3LtfQTH47PshRQTm8FKoU4UWjO',
  ],
  ['72 bytes', long, '$2a$05$sgFumMsQhUQ7f5m2gjHK.eBvgpxawzHSZ.bpEwf8oVx2TIR1ESti6'],
  [
    'what is behind 72 bytes',
    `${long}er`,
    '$2a$05$Wb/mfM2V8r0yJYNuQxEA2OK5Ziex5MrWZL04xNpKQpwxb2KzzT6t.',
  ],
])('a real etcd treats %s alike', (_, password, expected) => {
  expect(hash(password, expected).text).toBe(expected)
  expect(hash(`x${password}`, expected).text).not.toBe(expected)
})

test('the work is done in steps of the same size, so that others get their turn', () => {
  const at = (cost: string) =>
    hash('p', `$2a$${cost}$${'C'.repeat(21)}.${'.'.repeat(31)}`).stepCount
  expect(at('08')).toBe(16 + 1)
  expect(at('10')).toBe(64 + 1)
})

test.each([
  ['nothing', ''],
  ['a cost that is too low', '$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['a cost that is too high', '$2a$32$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['another kind', '$5$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['one digit less', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe'],
  ['a digit that is none', '$2a$05$CCCCCCCCCCCCCCCCCCCCC+E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
])('%s is no hash', (_, text) => {
  expect(parseHash(text)).toBeUndefined()
})
