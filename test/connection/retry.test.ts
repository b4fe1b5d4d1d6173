// Which failed calls are sent again, how often, and after how long.
import { expect, test } from 'vitest'
import { jittered, pause, withRetry } from '../../src/connection/retry.js'
import { RpcError, Status } from '../../src/grpc/status.js'
import type { Random } from '../../src/platform/random.js'
import { newManualClock } from '../support/manual-clock.js'
import { failure } from './connecting.js'

const middle: Random = { below: (limit) => Math.floor(limit / 2), bytes: Buffer.alloc }
const unavailable = new RpcError(Status.unavailable, 'connection lost')
const learner = new RpcError(Status.unavailable, 'etcdserver: rpc not supported for learner')
const noLeader = new RpcError(Status.unavailable, 'etcdserver: no leader')
const denied = new RpcError(Status.permissionDenied, 'etcdserver: permission denied')
const unprocessed = new RpcError(Status.unavailable, 'refused', { unprocessed: true })

interface Script {
  errors: readonly unknown[]
  endpointCount?: number
  isRepeatable?: boolean
  repair?: (error: unknown) => Promise<boolean>
}

/** Runs a call that fails with each of the errors in turn and then succeeds. */
async function run({ errors, endpointCount = 1, isRepeatable = true, repair }: Script) {
  const left = [...errors]
  const clock = newManualClock()
  const waits: number[] = []
  let attempts = 0
  let switches = 0
  const call = async (): Promise<string> => {
    attempts++
    if (left.length > 0) throw left.shift()
    return 'answer'
  }
  const impatient = {
    ...clock,
    after(ms: number, callback: () => void) {
      waits.push(ms)
      queueMicrotask(callback)
      return { cancel() {} }
    },
  }
  const parts = {
    clock: impatient,
    random: middle,
    endpointCount,
    switchAddress: () => {
      switches++
    },
  }
  const result = await withRetry(call, parts, { isRepeatable, ...(repair && { repair }) }).catch(
    (error: unknown) => error,
  )
  return { result, attempts, waits, switches }
}

test('a read is repeated while the server is unavailable', async () => {
  const { result, attempts, waits } = await run({ errors: [unavailable, unavailable] })
  expect({ result, attempts, waits }).toEqual({ result: 'answer', attempts: 3, waits: [25, 25] })
})

test('a read is given up after 100 attempts', async () => {
  const { result, attempts } = await run({ errors: Array(200).fill(unavailable) })
  expect({ result, attempts }).toEqual({ result: unavailable, attempts: 100 })
})

test('a write that may have been seen is never sent again', async () => {
  const { result, attempts } = await run({ errors: [unavailable], isRepeatable: false })
  expect({ result, attempts }).toEqual({ result: unavailable, attempts: 1 })
})

test('a write that certainly was not seen is sent again', async () => {
  const { result, attempts } = await run({ errors: [unprocessed], isRepeatable: false })
  expect({ result, attempts }).toEqual({ result: 'answer', attempts: 2 })
})

test('a call that nobody saw for a reason that stays is not sent again', async () => {
  const large = new RpcError(Status.resourceExhausted, 'too large', { unprocessed: true })
  expect(await run({ errors: [large] })).toMatchObject({ result: large, attempts: 1 })
})

test('a refusal by the server is the end, whatever the call', async () => {
  const { result, attempts } = await run({ errors: [denied] })
  expect({ result, attempts }).toEqual({ result: denied, attempts: 1 })
})

test('a learner sends even a write to another endpoint, if there is one', async () => {
  const write = { errors: [learner], isRepeatable: false }
  expect(await run({ ...write, endpointCount: 1 })).toMatchObject({ result: learner, switches: 0 })
  expect(await run({ ...write, endpointCount: 2 })).toMatchObject({ result: 'answer', switches: 1 })
})

test('a server that cannot serve is left; one that went away needs no leaving', async () => {
  expect(await run({ errors: [noLeader] })).toMatchObject({ result: 'answer', switches: 1 })
  expect(await run({ errors: [unavailable] })).toMatchObject({ result: 'answer', switches: 0 })
})

test('with three endpoints every second attempt goes without a pause', async () => {
  const { waits } = await run({ errors: Array(4).fill(unavailable), endpointCount: 3 })
  expect(waits).toEqual([25, 25])
})

test('a repaired call is sent again, even a write', async () => {
  const repair = async (error: unknown) => error === denied
  const script = { errors: [denied], isRepeatable: false, repair }
  expect(await run(script)).toMatchObject({ result: 'answer', attempts: 2 })
})

test('the pause is a tenth shorter or longer at most', () => {
  expect(jittered(25, { ...middle, below: () => 0 })).toBeCloseTo(22.5)
  expect(jittered(25, { ...middle, below: (limit) => limit - 1 })).toBeCloseTo(27.5)
})

test('a pause ends with the deadline, or with an abort as an error', async () => {
  const clock = newManualClock()
  const short = pause({ clock }, 1000, { deadline: 10 })
  clock.advance(10)
  await short
  const controller = new AbortController()
  const aborted = failure(pause({ clock }, 1000, { signal: controller.signal }))
  controller.abort()
  expect((await aborted).message).toBe('context canceled')
  expect(clock.pending()).toEqual([])
})
