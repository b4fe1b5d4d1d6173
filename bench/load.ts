// load.ts: the load generator, a process of its own: keeps a number of calls in flight for some
// seconds and prints what it saw as one JSON line. Requests are encoded before the clock starts.
//
//     load.ts PORT KIND SECONDS IN_FLIGHT CONNECTIONS
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from '../src/api/gen/rpc.js'
import { RawClient } from './raw-client.js'

export type LoadKind = 'put' | 'range' | 'txn'

export interface LoadResult {
  calls: number
  seconds: number
  p50Ms: number
  p99Ms: number
  /** Processor time of the generator. */
  cpuSeconds: number
}

/** Keys are used again and again, each by all kinds: a put finds a key, as in a system at work. */
const keyCount = 10_000
const value = Buffer.alloc(200, 'v')

const methods: Record<LoadKind, string> = {
  put: '/etcdserverpb.KV/Put',
  range: '/etcdserverpb.KV/Range',
  txn: '/etcdserverpb.KV/Txn',
}

const encoders: Record<LoadKind, (key: Buffer) => Uint8Array> = {
  put: (key) => PutRequest.encode(PutRequest.fromPartial({ key, value })).finish(),
  range: (key) => RangeRequest.encode(RangeRequest.fromPartial({ key })).finish(),
  // If the key exists, put it and read it: a guarded update, of the size that locks have.
  txn: (key) =>
    TxnRequest.encode(
      TxnRequest.fromPartial({
        compare: [
          {
            key,
            target: Compare_CompareTarget.VERSION,
            result: Compare_CompareResult.GREATER,
            version: '0',
          },
        ],
        success: [{ request_put: { key, value } }, { request_range: { key } }],
        failure: [{ request_put: { key, value } }],
      }),
    ).finish(),
}

async function main([portText, kindText, seconds, inFlight, connections]: readonly string[]) {
  const port = Number(portText)
  const kind = kindText as LoadKind
  const requests = Array.from({ length: keyCount }, (_, i) =>
    encoders[kind](Buffer.from(`bench/key-${String(i * 7919).padStart(9, '0')}`)),
  )
  const clients = Array.from(
    { length: Number(connections) },
    () => new RawClient(port, methods[kind], fail),
  )
  const result = await load(clients, requests, {
    seconds: Number(seconds),
    inFlight: Number(inFlight),
  })
  for (const client of clients) client.close()
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function load(
  clients: readonly RawClient[],
  requests: readonly Uint8Array[],
  { seconds, inFlight }: { seconds: number; inFlight: number },
): Promise<LoadResult> {
  const latencies: number[] = []
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  const until = started + seconds * 1000
  const over = new EventTarget()
  let next = 0
  let left = inFlight
  const begin = (client: RawClient): void => {
    const sent = performance.now()
    // A stride apart from the order of insertion, so that neighbors are not asked in turn.
    const request = requests[(next++ * 4099) % requests.length] as Uint8Array
    client.call(request, (isOk) => {
      const now = performance.now()
      if (!isOk) fail(new Error('the server refused a call'))
      latencies.push(now - sent)
      if (now < until) begin(client)
      else if (--left === 0) over.dispatchEvent(new Event('over'))
    })
  }
  for (let i = 0; i < inFlight; i++) begin(clients[i % clients.length] as RawClient)
  await once(over, 'over')
  const wallSeconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const sorted = Float64Array.from(latencies).sort()
  const quantile = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
  return {
    calls: latencies.length,
    seconds: wallSeconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    cpuSeconds: (user + system) / 1e6,
  }
}

function fail(error: Error): never {
  console.error(`load: ${error.message}`)
  process.exit(1)
}

await main(process.argv.slice(2))
