// Hashing passwords beside other work: right answers, and turns for everybody else.
import { expect, test } from 'vitest'
import { PasswordError, Passwords } from '../../src/auth/password.js'
import { systemRandom } from '../../src/platform/random.js'

const passwords = new Passwords(5, systemRandom)

test('a password matches its own hash and no other', async () => {
  const hash = await passwords.hash('secret')
  expect(hash).toMatch(/^\$2a\$05\$/)
  expect(await passwords.matches('secret', hash)).toBe(true)
  expect(await passwords.matches('Secret', hash)).toBe(false)
  expect(await passwords.hash('secret')).not.toBe(hash)
})

test('the empty password is one like others', async () => {
  expect(await passwords.matches('', await passwords.hash(''))).toBe(true)
})

test('no password matches what is no hash', async () => {
  expect(await passwords.matches('', '')).toBe(false)
})

test('a password that would be cut is refused, in the words of Go', async () => {
  const text = 'bcrypt: password length exceeds 72 bytes'
  await expect(passwords.hash('ä'.repeat(37))).rejects.toEqual(new PasswordError(text))
  expect(await passwords.hash('ä'.repeat(36))).toMatch(/^\$2a/)
})

test('a hash made in one piece is the same kind of hash', async () => {
  expect(await passwords.matches('old', passwords.hashNow('old'))).toBe(true)
})

test.each([3, 32])('the cost %i, which bcrypt does not know, becomes 10', async (cost) => {
  expect(new Passwords(cost, systemRandom).hashNow('p')).toMatch(/^\$2a\$10\$/)
})

test('other work gets a turn many times during one hash', async () => {
  let turnCount = 0
  let isOver = false
  const turn = (): void => {
    turnCount++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await new Passwords(10, systemRandom).hash('secret')
  isOver = true
  expect(turnCount).toBeGreaterThan(50)
})

test('hashes are made one after the other, in the order of the calls', async () => {
  const slow = new Passwords(8, systemRandom).hashNow('p')
  const quick = passwords.hashNow('p')
  const done: string[] = []
  const check = (name: string, hash: string) =>
    passwords.matches('p', hash).then(() => done.push(name))
  await Promise.all([check('slow', slow), check('quick', quick), check('last', quick)])
  expect(done).toEqual(['slow', 'quick', 'last'])
})

test('more than can be made in reasonable time are refused at once', async () => {
  const busy = new Passwords(4, systemRandom)
  const all = Array.from({ length: 1001 }, () => busy.hash('p'))
  await expect(all.at(-1)).rejects.toMatchObject({ code: 'tooManyRequests' })
  expect(await all[0]).toMatch(/^\$2a/)
  await Promise.all(all.slice(0, 1000))
  expect(await busy.hash('p')).toMatch(/^\$2a/)
})
