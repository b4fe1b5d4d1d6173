// load.ts on a clock that the test moves: when requests come due, who sends them, what is counted.
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Load, runLoad } from '../../src/commands/load.js'
import { newManualClock } from '../support/manual-clock.js'

const never = new AbortController().signal

/** A load whose requests are answered by the test, on a clock that the test moves. */
function loaded(load: Omit<Load, 'send' | 'signal'>, signal: AbortSignal = never) {
  const clock = newManualClock()
  const open: { client: number; answer: () => void; fail: (error: Error) => void }[] = []
  let sent = 0
  const send = (client: number): Promise<void> => {
    sent++
    return new Promise((answer, fail) => void open.push({ client, answer, fail }))
  }
  const report = runLoad(clock, { ...load, signal, send })
  return {
    clock,
    open,
    report,
    sent: () => sent,
    /** Time passes in small steps, so that clients can act in between. */
    async pass(ms: number, { answering = true } = {}): Promise<void> {
      for (let left = ms; left > 0; left -= 2) {
        clock.advance(2)
        await setImmediate()
        if (answering) for (const one of open.splice(0)) one.answer()
        await setImmediate()
      }
    },
  }
}

test('requests come due at the rate, for as long as was said', async () => {
  const { pass, report, sent } = loaded({ clients: 5, perSecond: 150, durationMs: 1000 })
  await pass(500)
  expect(sent()).toBe(75)
  await pass(500)
  await report
  // The next one would come due at the very end.
  expect(sent()).toBe(149)
  expect((await report).perSecond).toBe(149)
})

test('what finds the line full is never sent', async () => {
  const load = { clients: 3, perSecond: 100, durationMs: 1000 }
  const { pass, report, sent } = loaded(load)
  await pass(500, { answering: false })
  expect(sent()).toBe(3) // and 3 more stand in line
  await pass(2)
  await pass(398)
  // 3 from the line and then a tenth of what came due in the first half is not made up for.
  expect(sent()).toBe(6 + 40)
  await pass(200)
  expect((await report).errors.size).toBe(0)
})

test('without a rate each client sends one after the other, until all are sent', async () => {
  const done: number[] = []
  const { pass, report, sent, open } = loaded({
    clients: 3,
    count: 10,
    onDone: () => done.push(done.length),
  })
  await setImmediate()
  expect(open.map(({ client }) => client)).toEqual([0, 1, 2])
  await pass(2)
  expect(sent()).toBe(6)
  await pass(20)
  await report
  expect(sent()).toBe(10)
  expect(done).toHaveLength(10)
})

test('failures are counted by their text', async () => {
  const { open, report } = loaded({ clients: 3, count: 3 })
  await setImmediate()
  open[0]?.fail(new Error('a'))
  open[1]?.fail(new Error('b'))
  open[2]?.fail(new Error('a'))
  expect([...(await report).errors]).toEqual([
    ['a', 2],
    ['b', 1],
  ])
})

test('how long requests took is summed up', async () => {
  const { clock, open, report } = loaded({ clients: 2, count: 2 })
  await setImmediate()
  clock.advance(1000)
  open[0]?.answer()
  await setImmediate()
  clock.advance(2000)
  open[1]?.answer()
  expect(await report).toEqual({
    perSecond: 2 / 3,
    slowestSeconds: 3,
    stddevSeconds: 1,
    errors: new Map(),
  })
})

test.each([{ perSecond: 100, durationMs: 1000 }, { count: 100 }])(
  'a signal ends it, when what is under way is answered: %j',
  async (load) => {
    const ended = new AbortController()
    const { pass, report, sent, open } = loaded({ clients: 2, ...load }, ended.signal)
    await pass(20, { answering: false })
    ended.abort()
    const before = sent()
    let isOver = false
    void report.then(() => {
      isOver = true
    })
    await setImmediate()
    expect({ isOver, open: open.length }).toEqual({ isOver: false, open: 2 })
    await pass(2)
    await pass(2)
    await report
    // Those in line when the signal came had come due before.
    expect(sent() - before).toBeLessThanOrEqual(2)
  },
)
