// Simple tokens: who has one, and for how long.
import { expect, test } from 'vitest'
import { SimpleTokens } from '../../src/auth/token.js'
import { systemRandom } from '../../src/platform/random.js'
import { newManualClock } from '../support/manual-clock.js'

function newTokens() {
  const clock = newManualClock()
  const tokens = new SimpleTokens({ clock, random: systemRandom }, 300)
  const logIn = (user: string, index: number) => {
    const login = { user, letters: tokens.letters(), index, revision: 7 }
    tokens.remember(login)
    return tokens.issue(login)
  }
  return { clock, tokens, logIn, userOf: (token: string) => tokens.identify(token, 9)?.user }
}

test('a token is 16 letters and the index of its login', () => {
  const { tokens, logIn } = newTokens()
  const token = logIn('ann', 42)
  expect(token).toMatch(/^[A-Za-z]{16}\.42$/)
  expect(tokens.identify(token, 9)).toEqual({ user: 'ann', revision: 9 })
  expect(logIn('ann', 43)).not.toBe(token)
})

test.each(['', 'abc', 'abc.1', 'abc.1.2', '.'])('%j is nobody', (token) => {
  const { userOf, logIn } = newTokens()
  logIn('ann', 1)
  expect(userOf(token)).toBeUndefined()
})

test.each([
  ['letters.42', 42],
  ['letters', 0],
  ['letters.-1', 0],
  ['letters.4x', 0],
  ['a.b.42', 0],
  ['letters.99999999999999999999', 0],
])('%s can be told from index %i on', (token, index) => {
  expect(newTokens().tokens.knownFrom(token)).toBe(index)
})

test('a token lives 300 seconds after its last use', () => {
  const { clock, logIn, userOf } = newTokens()
  const used = logIn('ann', 1)
  const unused = logIn('bob', 2)
  clock.advance(299_000)
  expect(userOf(used)).toBe('ann')
  clock.advance(1_000)
  expect(userOf(unused)).toBeUndefined()
  clock.advance(298_000)
  expect(userOf(used)).toBe('ann')
  clock.advance(300_000)
  expect(userOf(used)).toBeUndefined()
})

test('a login among many that ended leaves those that did not', () => {
  const { clock, logIn, userOf } = newTokens()
  const first = logIn('ann', 1)
  const second = logIn('bob', 2)
  clock.advance(200_000)
  expect(userOf(first)).toBe('ann')
  clock.advance(200_000)
  logIn('carl', 3)
  expect(userOf(second)).toBeUndefined()
  expect(userOf(first)).toBe('ann')
})

test('a user can lose all tokens, and so can all', () => {
  const { tokens, logIn, userOf } = newTokens()
  const anns = [logIn('ann', 1), logIn('ann', 2)]
  const bobs = logIn('bob', 3)
  tokens.forget('ann')
  expect([...anns, bobs].map(userOf)).toEqual([undefined, undefined, 'bob'])
  tokens.forgetAll()
  expect(userOf(bobs)).toBeUndefined()
})
