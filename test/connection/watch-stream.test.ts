// What a watch makes of a server that breaks off, refuses, cuts answers into pieces or compacts.
import { expect, test } from 'vitest'
import {
  AuthenticateResponse,
  type DeepPartial,
  WatchRequest,
  WatchResponse,
} from '../../src/api/gen/rpc.js'
import type { Watch } from '../../src/connection/connect.js'
import type { ServerStream } from '../../src/grpc/server.js'
import { connected } from './connecting.js'
import { gone, inTurn, startFakeServer, status } from './fake-server.js'

const key = Buffer.from('k')
const created = (revision: string) => ({ header: { revision }, created: true })
const events = (...revisions: string[]) =>
  revisions.map((mod_revision) => ({ kv: { key, mod_revision } }))

type Answer = DeepPartial<WatchResponse>
type Script = (
  send: (answer: Answer) => Promise<void>,
  stream: ServerStream,
  /** What the client sends after its create. */
  nextRequest: () => Promise<WatchRequest>,
) => Promise<void>

/** One script for each stream that comes, and what the streams were opened with. */
async function startWatchServer(...scripts: readonly Script[]) {
  const creates: WatchRequest['create_request'][] = []
  let turn = 0
  const token = AuthenticateResponse.encode(AuthenticateResponse.fromPartial({ token: 't' }))
  const server = await startFakeServer({
    unary: { 'Auth/Authenticate': inTurn(token.finish()) },
    streams: {
      'Watch/Watch': async (stream) => {
        const script = scripts[turn++]
        const messages = stream[Symbol.asyncIterator]()
        const nextRequest = async (): Promise<WatchRequest> => {
          const { value, done } = await messages.next()
          return done ? {} : WatchRequest.decode(value)
        }
        creates.push((await nextRequest()).create_request)
        const send = (answer: Answer) =>
          stream.write(WatchResponse.encode(WatchResponse.fromPartial(answer)).finish())
        await script?.(send, stream, nextRequest)
      },
    },
  })
  return Object.assign(server, { creates })
}

/** The next answers of a watch, as far as they matter here. */
async function take(watch: Watch, count: number): Promise<string[]> {
  const answers: string[] = []
  for await (const answer of watch) {
    answers.push(summary(answer))
    if (answers.length === count) break
  }
  return answers
}

function summary({ created, canceled, cancel_reason, events, header }: WatchResponse): string {
  if (canceled) return `canceled ${cancel_reason}`
  if (created) return 'created'
  if (events.length === 0) return `progress ${header?.revision}`
  return events.map(({ kv }) => kv?.mod_revision).join(' ')
}

const lost = status('unavailable', 'connection lost')
const breakOff = () => Promise.reject(lost)

test('it starts again behind the last event, not behind the revision in the header', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('5000'))
      await send({ header: { revision: '5000' }, events: events('3', '7') })
      await breakOff()
    },
    async (send, stream) => {
      await send(created('5000'))
      await send({ header: { revision: '5000' }, events: events('9') })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  const watch = connection.watch({ key, start_revision: '2' })
  expect(await take(watch, 3)).toEqual(['created', '3 7', '9'])
  expect(server.creates.map((create) => create?.start_revision)).toEqual(['2', '8'])
})

test('a watch from now starts again behind the revision at which it was created', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('41'))
      await breakOff()
    },
    async (send, stream) => {
      await send(created('60'))
      await send({ header: { revision: '60' }, events: events('42') })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  expect(await take(connection.watch({ key }), 2)).toEqual(['created', '42'])
  expect(server.creates.map((create) => create?.start_revision)).toEqual(['0', '42'])
})

test('a progress notification of the watcher moves the start, one of the stream does not', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('10'))
      await send({ header: { revision: '20' }, watch_id: '0' })
      await send({ header: { revision: '90' }, watch_id: '-1' })
      await breakOff()
    },
    async (send, stream) => {
      await send(created('90'))
      await send({ header: { revision: '90' }, events: events('21') })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  const answers = await take(connection.watch({ key, start_revision: '5' }), 4)
  expect(answers).toEqual(['created', 'progress 20', 'progress 90', '21'])
  expect(server.creates.map((create) => create?.start_revision)).toEqual(['5', '21'])
})

test('a progress notification never moves the start of a watch of the future back', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('10'))
      await send({ header: { revision: '12' } })
      await breakOff()
    },
    async (send, stream) => {
      await send(created('12'))
      await send({ header: { revision: '100' }, events: events('100') })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  await take(connection.watch({ key, start_revision: '100' }), 3)
  expect(server.creates.map((create) => create?.start_revision)).toEqual(['100', '100'])
})

test('pieces of an answer are put together; half an answer is asked for again', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('10'))
      await send({ fragment: true, events: events('3', '4') })
      await send({ fragment: true, events: events('4') })
      await send({ events: events('5') })
      await send({ fragment: true, events: events('6') })
      await breakOff()
    },
    async (send, stream) => {
      await send(created('10'))
      await send({ events: events('6', '7') })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  const watch = connection.watch({ key, start_revision: '1', fragment: true })
  expect(await take(watch, 3)).toEqual(['created', '3 4 4 5', '6 7'])
  expect(server.creates.map((create) => create?.start_revision)).toEqual(['1', '6'])
})

test('a compaction is the last answer', async () => {
  await using server = await startWatchServer(async (send, stream) => {
    await send(created('10'))
    await send({ canceled: true, compact_revision: '8' })
    await gone(stream)
  })
  await using connection = await connected(server.endpoint)
  const answers: WatchResponse[] = []
  for await (const answer of connection.watch({ key, start_revision: '1' })) answers.push(answer)
  expect(answers.map(({ compact_revision }) => compact_revision)).toEqual(['0', '8'])
})

test('a refused watch has one answer', async () => {
  const cancel_reason = 'mvcc: watcher range is empty'
  await using server = await startWatchServer(async (send, stream) => {
    await send({ watch_id: '-1', created: true, canceled: true, cancel_reason })
    await gone(stream)
  })
  await using connection = await connected(server.endpoint)
  expect(await take(connection.watch({ key }), 9)).toEqual([`canceled ${cancel_reason}`])
})

test.each([
  ['unavailable', 'etcdserver: no leader', 'etcdserver: no leader'],
  [
    'unimplemented',
    'unknown service etcdserverpb.Watch',
    'rpc error: code = Unimplemented desc = unknown service etcdserverpb.Watch',
  ],
] as const)('%s %s ends the watch as a refusal', async (code, text, reason) => {
  await using server = await startWatchServer(() => Promise.reject(status(code, text)))
  await using connection = await connected(server.endpoint)
  expect(await take(connection.watch({ key }), 9)).toEqual([`canceled ${reason}`])
})

test('a watch that is refused for its token gets a new one and goes on', async () => {
  const cancel_reason = 'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token'
  await using server = await startWatchServer(
    (send) => send({ watch_id: '-1', created: true, canceled: true, cancel_reason }),
    async (send, stream) => {
      await send(created('10'))
      await gone(stream)
    },
  )
  const user = { name: 'root', password: 'secret' }
  await using connection = await connected(server.endpoint, { user })
  expect(await take(connection.watch({ key }), 1)).toEqual(['created'])
})

test('it asks for a stream that ends when there is no leader', async () => {
  await using server = await startWatchServer(async (send, stream) => {
    await send(created('10'))
    await gone(stream)
  })
  await using connection = await connected(server.endpoint)
  await take(connection.watch({ key }), 1)
  expect(server.calls[0]?.metadata).toMatchObject({
    hasleader: 'true',
    'client-api-version': '3.7',
  })
})

test('a progress request that comes too early is sent as soon as there is a watcher', async () => {
  await using server = await startWatchServer(async (send, stream, nextRequest) => {
    await send(created('10'))
    const { progress_request } = await nextRequest()
    if (progress_request) await send({ header: { revision: '11' }, watch_id: '-1' })
    await gone(stream)
  })
  await using connection = await connected(server.endpoint)
  const watch = connection.watch({ key })
  await watch.requestProgress()
  expect(await take(watch, 2)).toEqual(['created', 'progress 11'])
})

test('a progress request goes to the stream in use', async () => {
  await using server = await startWatchServer(
    async (send) => {
      await send(created('10'))
      await send({ events: events('11') })
      await breakOff()
    },
    async (send, stream, nextRequest) => {
      await send(created('10'))
      await send({ events: events('12') })
      const { progress_request } = await nextRequest()
      if (progress_request) await send({ header: { revision: '12' }, watch_id: '-1' })
      await gone(stream)
    },
  )
  await using connection = await connected(server.endpoint)
  const watch = connection.watch({ key })
  const answers: string[] = []
  for await (const answer of watch) {
    answers.push(summary(answer))
    if (answers.at(-1) === '12') await watch.requestProgress()
    if (answers.at(-1) === 'progress 12') break
  }
  expect(answers).toEqual(['created', '11', '12', 'progress 12'])
})

test('an abort ends the watch without a word, even while there is no server', async () => {
  const server = await startFakeServer({})
  await server[Symbol.asyncDispose]()
  await using connection = await connected(server.endpoint)
  const controller = new AbortController()
  const answers = take(connection.watch({ key }, { signal: controller.signal }), 1)
  controller.abort()
  expect(await answers).toEqual([])
})

test('leaving the loop ends the stream at the server', async () => {
  let left = (): void => {}
  const over = new Promise<void>((resolve) => {
    left = resolve
  })
  await using server = await startWatchServer(async (send, stream) => {
    await send(created('10'))
    await gone(stream)
    left()
  })
  await using connection = await connected(server.endpoint)
  await take(connection.watch({ key }), 1)
  await over
})
