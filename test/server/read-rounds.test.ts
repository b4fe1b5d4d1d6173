// Reads and the questions that they share: who waits for which answer, and for how long.
import { expect, test } from 'vitest'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { ReadRounds } from '../../src/server/read-rounds.js'
import { newManualClock } from '../support/manual-clock.js'

const requestTimeoutMs = 7_000

function newRounds(applied = 10) {
  const clock = newManualClock()
  const asked: Buffer[] = []
  const ask = (context: Buffer) => void asked.push(Buffer.from(context))
  const rounds = new ReadRounds({ clock, requestTimeoutMs, ask }, applied)
  const told: string[] = []
  const join = (name: string) => {
    rounds.join().then(
      () => told.push(name),
      (error: EtcdError) => told.push(`${name}: ${error.code}`),
    )
  }
  const settled = async () => {
    await new Promise(setImmediate)
    return told.splice(0)
  }
  return { rounds, clock, asked, join, settled }
}

test('reads that come while a question is under way share the next one', async () => {
  const { rounds, asked, join, settled } = newRounds()
  for (const name of ['a', 'b', 'c']) join(name)
  expect(asked).toHaveLength(1)
  rounds.answered(10, asked[0] as Buffer)
  expect(await settled()).toEqual(['a'])
  rounds.ask()
  expect(asked).toHaveLength(2)
  // The answer to the first one once more, as it was repeated.
  rounds.answered(10, asked[0] as Buffer)
  expect(await settled()).toEqual([])
  rounds.answered(12, asked[1] as Buffer)
  expect(await settled()).toEqual([])
  rounds.applied(11)
  expect(await settled()).toEqual([])
  rounds.applied(12)
  expect(await settled()).toEqual(['b', 'c'])
})

test('a question is repeated as it was, and given up in the end', async () => {
  const { rounds, clock, asked, join, settled } = newRounds()
  join('a')
  for (let ms = 0; ms < requestTimeoutMs - 100; ms += 100) {
    clock.advance(100)
    rounds.tick()
  }
  expect(asked.length).toBeGreaterThan(5)
  expect(new Set(asked.map((context) => context.toString('hex'))).size).toBe(1)
  join('b')
  clock.advance(100)
  rounds.tick()
  expect(await settled()).toEqual(['a: timeout'])
  expect(rounds.figures).toEqual({ slow: 1, failed: 0 })
  rounds.answered(10, asked.at(-1) as Buffer)
  expect(await settled()).toEqual(['b'])
})

test('an index that is not applied in time is not waited for', async () => {
  const { rounds, clock, asked, join, settled } = newRounds()
  join('a')
  rounds.answered(11, asked[0] as Buffer)
  clock.advance(requestTimeoutMs)
  rounds.tick()
  expect(await settled()).toEqual(['a: timeout'])
  rounds.applied(11)
  expect(await settled()).toEqual([])
})

test('all who wait are told of an end', async () => {
  const { rounds, asked, join, settled } = newRounds()
  join('known')
  rounds.answered(11, asked[0] as Buffer)
  join('asked')
  join('next')
  rounds.fail(new EtcdError('stopped'))
  expect(await settled()).toEqual(['next: stopped', 'asked: stopped', 'known: stopped'])
  expect(rounds.figures).toEqual({ slow: 0, failed: 1 })
})
