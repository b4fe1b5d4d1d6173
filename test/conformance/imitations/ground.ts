// ground.ts: where an item of the list is tried: the same test body on the bundled server and,
// where it is installed, on a real etcd. What the real one does is what the body expects; where
// releases differ, the table of version differences is asked, by the version that the server tells.
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { afterAll, beforeAll, describe } from 'vitest'
import * as rpc from '../../../src/api/gen/rpc.js'
import type { Channel, ClientStream } from '../../../src/grpc/channel.js'
import type { ServerConfig } from '../../../src/server/config.js'
import { TokenClient } from '../../server/token-client.js'
import { byVersion, type VersionDifference } from '../../server/version-differences.js'
import { startEmbedded } from '../../support/embedded.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'
import { describeWithEtcd, freePorts, startRealEtcd } from '../../support/real-etcd.js'

/** What both servers are started with. */
export interface GroundOptions {
  config?: Partial<ServerConfig>
  /** The same, in etcd's words. */
  flags?: readonly string[]
}

export interface Ground {
  readonly port: number
  readonly client: TokenClient
  /** For calls that are spoken by hand. */
  readonly channel: Channel
  /** What a server of this version does. */
  by<Before, Now>(
    row: Pick<VersionDifference<unknown>, 'since'> & { before: Before; now: Now },
  ): Before | Now
}

interface Started extends AsyncDisposable {
  readonly port: number
}

/** Declares the suite once for each server. `ground` is there from the suite's hooks on. */
export function onBoth(options: GroundOptions, suite: (ground: () => Ground) => void): void {
  const start = { ours: () => startEmbedded(options), theirs: () => startRealEtcd(options) }
  describe('the bundled server', () => onOne(start.ours, suite))
  describeWithEtcd('etcd', () => onOne(start.theirs, suite))
}

function onOne(start: () => Promise<Started>, suite: (ground: () => Ground) => void): void {
  let started: Started | undefined
  let ground: (Ground & AsyncDisposable) | undefined
  beforeAll(async () => {
    started = await start()
    ground = await groundOf(started.port)
  })
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]()
    await started?.[Symbol.asyncDispose]()
  })
  suite(() => {
    if (ground === undefined) throw new Error('nothing is started yet')
    return ground
  })
}

export async function groundOf(port: number): Promise<Ground & AsyncDisposable> {
  const client = new TokenClient(port)
  const channel = openPlainChannel(port)
  const { version } = await client.call('Status', {})
  return {
    port,
    client,
    channel,
    by: (row) => byVersion(version, row),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await channel.close()
    },
  }
}

/** Two peer URLs, not in order, as config and as flags: an id is made of them. */
export async function twoPeerUrls(): Promise<GroundOptions> {
  const [first = 0, second = 0] = (await freePorts(2)).toSorted((a, b) => b - a)
  const urls = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`]
  const initialCluster = urls.map((url) => `default=${url}`).join()
  return {
    config: { listenPeerUrls: urls, initialAdvertisePeerUrls: urls, initialCluster },
    flags: [
      `--listen-peer-urls=${urls}`,
      `--initial-advertise-peer-urls=${urls}`,
      `--initial-cluster=${initialCluster}`,
    ],
  }
}

/** A stream in both directions, spoken message by message. */
export class Talk<Request, Answer> implements Disposable {
  readonly #stream: ClientStream
  readonly #answers: AsyncIterator<Buffer>
  readonly #request: rpc.MessageFns<Request>
  readonly #answer: rpc.MessageFns<Answer>
  /** The last answer as it came. */
  bytes: Buffer = Buffer.alloc(0)

  constructor(
    stream: ClientStream,
    messages: readonly [rpc.MessageFns<Request>, rpc.MessageFns<Answer>],
  ) {
    this.#stream = stream
    this.#answers = stream[Symbol.asyncIterator]()
    ;[this.#request, this.#answer] = messages
  }

  send(request: rpc.DeepPartial<Request>): Promise<void> {
    const message = this.#request.fromPartial(request)
    return this.#stream.write(this.#request.encode(message).finish())
  }

  async next(): Promise<Answer> {
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('the stream has ended')
    this.bytes = value
    return this.#answer.decode(value)
  }

  /** Resolves when the server ends the stream with status OK. */
  async ended(): Promise<void> {
    const { done } = await this.#answers.next()
    if (!done) throw new Error('the stream goes on')
  }

  endRequests(): void {
    this.#stream.end()
  }

  [Symbol.dispose](): void {
    this.#stream.cancel()
  }
}

export class Watching extends Talk<rpc.WatchRequest, rpc.WatchResponse> {
  constructor({ channel }: Pick<Ground, 'channel'>, metadata: Record<string, string> = {}) {
    const stream = channel.stream('/etcdserverpb.Watch/Watch', { metadata })
    super(stream, [rpc.WatchRequest, rpc.WatchResponse])
  }

  async create(request: rpc.DeepPartial<rpc.WatchCreateRequest>): Promise<rpc.WatchResponse> {
    await this.send({ create_request: request })
    return this.next()
  }
}

export function keepAlives({
  channel,
}: Ground): Talk<rpc.LeaseKeepAliveRequest, rpc.LeaseKeepAliveResponse> {
  const stream = channel.stream('/etcdserverpb.Lease/LeaseKeepAlive')
  return new Talk(stream, [rpc.LeaseKeepAliveRequest, rpc.LeaseKeepAliveResponse])
}

/** The answers to one request, which is empty unless it is given. */
export async function* serverStream(
  { channel }: Ground,
  path: string,
  request: Uint8Array = Buffer.alloc(0),
): AsyncGenerator<Buffer> {
  const stream = channel.stream(path)
  await stream.write(request)
  stream.end()
  yield* stream
}

/** Numbers of the fields that are there. */
export function fieldsOnWire(message: Uint8Array): number[] {
  const reader = new BinaryReader(message)
  const numbers: number[] = []
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    numbers.push(number)
    reader.skip(type)
  }
  return numbers
}

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** `put a=1` and `delete a` of an answer. */
export const events = ({ events: all }: rpc.WatchResponse): string[] =>
  all.map(({ type, kv }) =>
    type === 0 ? `put ${kv?.key.toString('latin1')}=${kv?.value}` : `delete ${kv?.key}`,
  )

export const put = (key: string, value = 'v') => ({
  request_put: { key: bytes(key), value: bytes(value) },
})
export const del = (key: string, end = '') => ({
  request_delete_range: { key: bytes(key), range_end: bytes(end) },
})
export const get = (key: string, end = '') => ({
  request_range: { key: bytes(key), range_end: bytes(end) },
})

/** How a call ends whose time is over: the client's clock says so, or an older server's handler. */
export const timeIsOver = /^(DeadlineExceeded|Unknown): context deadline exceeded$/
