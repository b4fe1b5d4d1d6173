// load.ts: many watchers, many leases and many writes against one server, ours or another, with an
// exact account of them: what was written at which revision, and what each watcher was told.
//
// The account is made of the answers to the writes alone. A watcher is right when it was told every
// write of its interval, from the revision at which it began, once and in order, and nothing else.
import {
  CompactionRequest,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  PutRequest,
  PutResponse,
  WatchRequest,
  WatchResponse,
} from '../../src/api/gen/rpc.js'
import type { Channel, ClientStream } from '../../src/grpc/channel.js'
import { openPlainChannel } from './open-plain-channel.js'

/** Several connections to one server, taken in turn. */
export class LoadClient {
  readonly #channels: readonly Channel[]
  #next = 0

  constructor(port: number, connections: number) {
    this.#channels = Array.from({ length: connections }, () => openPlainChannel(port))
  }

  unary(path: string, request: Uint8Array): Promise<Buffer> {
    return this.#channel().unary(path, request)
  }

  stream(path: string): ClientStream {
    return this.#channel().stream(path)
  }

  async close(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.close()))
  }

  #channel(): Channel {
    return this.#channels[this.#next++ % this.#channels.length] as Channel // at least one
  }
}

export interface Write {
  readonly key: string
  /** undefined: the key was deleted. */
  readonly value: string | undefined
}

/** Every write that was answered, by its revision. */
export class Account {
  readonly #writes = new Map<number, Write>()
  readonly #expected = new Map<string, readonly number[]>()

  get size(): number {
    return this.#writes.size
  }

  at(revision: number): Write | undefined {
    return this.#writes.get(revision)
  }

  note(revision: number, write: Write): void {
    if (this.#writes.has(revision)) throw new Error(`two writes were given revision ${revision}`)
    this.#writes.set(revision, write)
    this.#expected.clear()
  }

  /** Revisions of all writes in [key, end), in order. */
  revisionsIn({ key, end }: Interval): readonly number[] {
    const name = `${key}\n${end}`
    const known = this.#expected.get(name)
    if (known !== undefined) return known
    const found = [...this.#writes].filter(([, write]) => key <= write.key && write.key < end)
    const revisions = found.map(([revision]) => revision).sort((a, b) => a - b)
    this.#expected.set(name, revisions)
    return revisions
  }
}

/** [key, end), of keys in ASCII. */
export interface Interval {
  readonly key: string
  readonly end: string
}

/** What one watcher was told. */
export class Watched {
  readonly interval: Interval
  readonly #account: Account
  readonly #revisions: number[] = []
  readonly #writes: Write[] = []
  /** Anything else than events that came after the watcher was created. */
  canceled: string | undefined

  constructor(interval: Interval, account: Account) {
    this.interval = interval
    this.#account = account
  }

  get count(): number {
    return this.#revisions.length
  }

  /** Told of that revision or a later one; 0 is before all. */
  isAt(revision: number): boolean {
    return (this.#revisions.at(-1) ?? 0) >= revision
  }

  note({ events, canceled, cancel_reason, compact_revision }: WatchResponse): void {
    if (canceled) this.canceled = `${cancel_reason} (compacted at ${compact_revision})`
    for (const { type, kv } of events) {
      this.#revisions.push(Number(kv?.mod_revision))
      const key = kv?.key.toString() ?? ''
      this.#writes.push({ key, value: type === 0 ? kv?.value.toString() : undefined })
    }
  }

  /** The first thing that is wrong with what it was told, against all that was written. */
  fault(): string | undefined {
    const { key, end } = this.interval
    const name = `the watcher of [${key}, ${end})`
    const expected = this.#account.revisionsIn(this.interval)
    if (this.canceled !== undefined) return `${name} was ended: ${this.canceled}`
    for (const [at, revision] of expected.entries()) {
      if (this.#revisions[at] !== revision) {
        return `${name} was told of ${this.#revisions[at]} as number ${at}, not of ${revision}`
      }
      const [told, written] = [this.#writes[at], this.#account.at(revision)]
      if (told?.key !== written?.key || told?.value !== written?.value) {
        return `${name} was told another write at ${revision}: ${told?.key} = ${told?.value}`
      }
    }
    const excess = this.#revisions[expected.length]
    return excess === undefined ? undefined : `${name} was told of ${excess} besides`
  }
}

interface Waiter {
  /** Whether this watcher, which was just told something, is the last one that was waited for. */
  isMetBy(watched: Watched): boolean
  resolve(): void
  reject(error: Error): void
}

/** One Watch call with any number of watchers. Nothing is read from it before read(). */
export class WatchCall {
  readonly watched: readonly Watched[]
  readonly #stream: ClientStream
  readonly #answers: AsyncIterator<Buffer>
  #told = 0
  #isReading = false
  #waiters: Waiter[] = []

  private constructor(stream: ClientStream, watched: readonly Watched[]) {
    this.#stream = stream
    this.#answers = stream[Symbol.asyncIterator]()
    this.watched = watched
  }

  /** Resolves when all of them are created. */
  static async open(
    client: Pick<LoadClient, 'stream'>,
    account: Account,
    intervals: readonly Interval[],
  ): Promise<WatchCall> {
    const watched = intervals.map((interval) => new Watched(interval, account))
    const stream = client.stream('/etcdserverpb.Watch/Watch')
    const call = new WatchCall(stream, watched)
    for (const { key, end } of intervals) {
      const create_request = { key: Buffer.from(key), range_end: Buffer.from(end) }
      await stream.write(WatchRequest.encode(WatchRequest.fromPartial({ create_request })).finish())
    }
    for (const [at] of intervals.entries()) {
      const { created, watch_id } = await call.#next()
      if (!created || watch_id !== String(at)) throw new Error(`watcher ${at} was not created`)
    }
    return call
  }

  /** Reads until close(). */
  read(): void {
    this.#isReading = true
    const read = async () => {
      while (this.#isReading) {
        const answer = await this.#next()
        const watched = this.watched[Number(answer.watch_id)]
        if (watched === undefined) throw new Error(`nobody is watcher ${answer.watch_id}`)
        watched.note(answer)
        this.#told += answer.events.length
        this.#wake(watched)
      }
    }
    read().catch((error: Error) => {
      if (!this.#isReading) return
      for (const { reject } of this.#waiters.splice(0)) reject(error)
    })
  }

  /** Resolves when each of its watchers was told of the newest revision that concerns it. */
  async complete(account: Account): Promise<void> {
    const open = new Map(
      this.watched.map((each) => [each, account.revisionsIn(each.interval).at(-1) ?? 0]),
    )
    for (const [watched, revision] of open) if (watched.isAt(revision)) open.delete(watched)
    if (open.size === 0) return
    await this.#met((watched) => {
      if (watched.isAt(open.get(watched) ?? Number.POSITIVE_INFINITY)) open.delete(watched)
      return open.size === 0
    })
  }

  /** Resolves when its watchers were told of so many events in all. */
  async told(count: number): Promise<void> {
    if (this.#told < count) await this.#met(() => this.#told >= count)
  }

  close(): void {
    this.#isReading = false
    this.#stream.cancel()
  }

  #met(isMetBy: Waiter['isMetBy']): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ isMetBy, resolve, reject }))
  }

  #wake(watched: Watched): void {
    if (this.#waiters.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => {
      const isMet = waiter.isMetBy(watched)
      if (isMet) waiter.resolve()
      return !isMet
    })
  }

  async #next(): Promise<WatchResponse> {
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('the server ended a watch call')
    return WatchResponse.decode(value)
  }
}

export interface WriteOptions {
  readonly count: number
  readonly inFlight: number
  /** Of the write with that number; `lease` 0n: none. */
  readonly write: (number: number) => Write & { lease?: bigint }
  /** After each answer. */
  readonly onWritten?: (done: number) => void
}

/** Makes the writes, so many of them at a time, and puts them on the account. */
export async function writeAll(
  client: LoadClient,
  account: Account,
  { count, inFlight, write, onWritten }: WriteOptions,
): Promise<void> {
  let next = 0
  let done = 0
  const work = async () => {
    while (next < count) {
      const { lease = 0n, ...made } = write(next++)
      const revision = await send(client, made, lease)
      if (revision !== undefined) account.note(revision, made)
      onWritten?.(++done)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work))
}

/** The revision of the write; undefined: there was nothing to delete. */
async function send(
  client: LoadClient,
  { key: name, value }: Write,
  lease: bigint,
): Promise<number | undefined> {
  const key = Buffer.from(name)
  if (value === undefined) {
    const request = DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial({ key })).finish()
    const answer = await client.unary('/etcdserverpb.KV/DeleteRange', request)
    const { header, deleted } = DeleteRangeResponse.decode(answer)
    return deleted === '0' ? undefined : Number(header?.revision)
  }
  const pair = { key, value: Buffer.from(value), lease: String(lease) }
  const request = PutRequest.encode(PutRequest.fromPartial(pair)).finish()
  const { header } = PutResponse.decode(await client.unary('/etcdserverpb.KV/Put', request))
  return Number(header?.revision)
}

export async function deleteAll(client: LoadClient, { key, end }: Interval): Promise<void> {
  const range = { key: Buffer.from(key), range_end: Buffer.from(end) }
  const request = DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial(range)).finish()
  await client.unary('/etcdserverpb.KV/DeleteRange', request)
}

/** Leases that are granted or revoked at the same time. */
const leasesAtOnce = 64

/** Grants a lease under each id. */
export async function grantAll(
  client: LoadClient,
  ids: readonly bigint[],
  ttlSeconds: number,
): Promise<void> {
  await eachOf(ids, async (id) => {
    const asked = LeaseGrantRequest.fromPartial({ ID: String(id), TTL: String(ttlSeconds) })
    const request = LeaseGrantRequest.encode(asked).finish()
    await client.unary('/etcdserverpb.Lease/LeaseGrant', request)
  })
}

/** At the newest revision of the account; answered when the server has done it. */
export async function compact(client: LoadClient, account: Account): Promise<void> {
  const revision = String(account.revisionsIn({ key: '', end: '~' }).at(-1))
  const request = CompactionRequest.encode({ revision, physical: true }).finish()
  await client.unary('/etcdserverpb.KV/Compact', request)
}

/** Revokes each of them, which deletes its keys. */
export async function revokeAll(client: LoadClient, ids: readonly bigint[]): Promise<void> {
  await eachOf(ids, async (id) => {
    const request = LeaseRevokeRequest.encode({ ID: String(id) }).finish()
    await client.unary('/etcdserverpb.Lease/LeaseRevoke', request)
  })
}

async function eachOf(ids: readonly bigint[], act: (id: bigint) => Promise<void>): Promise<void> {
  const queue = ids.values()
  const work = async () => {
    for (const id of queue) await act(id)
  }
  await Promise.all(Array.from({ length: leasesAtOnce }, work))
}

interface Share {
  readonly stream: ClientStream
  readonly answers: AsyncIterator<Buffer>
  readonly ids: readonly bigint[]
}

/** Renews leases over some keep-alive calls, which stay open. */
export class KeepAlive {
  readonly #shares: Share[]

  constructor(client: LoadClient, ids: readonly bigint[], calls: number) {
    this.#shares = Array.from({ length: calls }, (_, share) => {
      const stream = client.stream('/etcdserverpb.Lease/LeaseKeepAlive')
      const own = ids.filter((_id, at) => at % calls === share)
      return { stream, answers: stream[Symbol.asyncIterator](), ids: own }
    })
  }

  /** Renews each lease once; resolves with those that are gone. */
  async round(): Promise<bigint[]> {
    const gone = await Promise.all(this.#shares.map((share) => this.#roundOf(share)))
    return gone.flat()
  }

  close(): void {
    for (const { stream } of this.#shares) stream.cancel()
  }

  async #roundOf({ stream, answers, ids }: Share): Promise<bigint[]> {
    const ask = async () => {
      for (const id of ids) {
        await stream.write(LeaseKeepAliveRequest.encode({ ID: String(id) }).finish())
      }
    }
    const asked = ask()
    const gone: bigint[] = []
    for (const id of ids) {
      const { value, done } = await answers.next()
      if (done) throw new Error('the server ended a keep-alive call')
      const { ID, TTL } = LeaseKeepAliveResponse.decode(value)
      if (ID !== String(id)) throw new Error(`lease ${id} was asked for, ${ID} answered`)
      if (TTL === '0') gone.push(id)
    }
    await asked
    return gone
  }
}
