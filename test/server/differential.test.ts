// The bundled server against a real etcd: the same requests, made up from a seed, one after the
// other; the answers must be equal. Where 3.7, which is what we are, differs from the 3.4 that we
// compare with, version-differences.ts says how, and nowhere else.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { connected, type Disposable } from '../connection/connecting.js'
import { seededRandom } from '../support/cutting-proxy.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'
import { type Known, type RandomRequest, randomRequest } from './random-requests.js'
import { answerDifferences } from './version-differences.js'

const requestsPerSeed = 400

describeWithEtcd('the bundled server and a real etcd', () => {
  let embedded: Embedded
  let etcd: RealEtcd
  let ours: Disposable<Connection>
  let theirs: Disposable<Connection>
  const known: Known = { revision: 1, compactRevision: -1, deletions: new Set() }

  beforeAll(async () => {
    embedded = await startEmbedded()
    etcd = await startRealEtcd()
    ours = await connected(embedded.endpoint)
    theirs = await connected(etcd.endpoint)
  })
  afterAll(async () => {
    await ours?.close()
    await theirs?.close()
    await embedded?.[Symbol.asyncDispose]()
    await etcd?.[Symbol.asyncDispose]()
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('give the same answers (seed %i)', async (seed) => {
    const random = seededRandom(seed)
    const kinds = new Map<string, number>()
    for (let at = 0; at < requestsPerSeed; at++) {
      const made = randomRequest(random, known)
      const [our, their] = await Promise.all([answer(made, ours), answer(made, theirs)])
      expect(our, describeRequest(made, at)).toEqual(their)
      learn(made, our)
      const kind = 'error' in our ? `${made.name} refused` : made.name
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    }
    // Most requests have an effect; refusals alone would prove little.
    expect(kinds.get('put')).toBeGreaterThan(kinds.get('put refused') ?? 0)
    expect(kinds.get('txn')).toBeGreaterThan(20)
  })

  function learn({ name, request }: RandomRequest, result: Answer): void {
    const { header, ...rest } = result as { header?: { revision: string } }
    const before = known.revision
    if (header !== undefined) known.revision = Number(header.revision)
    const isDeletion = name === 'revoke' || JSON.stringify(rest).includes('deleted')
    if (isDeletion && known.revision > before) known.deletions.add(known.revision)
    if (name === 'compact' && !('error' in result)) {
      known.compactRevision = Number((request as { revision: string }).revision)
    }
  }
})

type Answer = Record<string, unknown>

async function answer({ name, request, send }: RandomRequest, to: Connection): Promise<Answer> {
  try {
    return sameForBoth(name, request, await send(to))
  } catch (error) {
    return { error: (error as Error).message }
  }
}

/** Takes out what cannot be equal, and what is known to differ between versions. */
function sameForBoth(name: string, request: object, response: object): Answer {
  const plain: Answer = JSON.parse(JSON.stringify(response))
  // Every cluster has ids and terms of its own.
  if (plain.header) plain.header = { revision: (plain.header as Answer).revision }
  // Time goes on between two requests; keys have no order.
  if (name === 'timeToLive') {
    delete plain.TTL
    plain.keys = (plain.keys as unknown[]).map((key) => JSON.stringify(key)).toSorted()
  }
  if (name === 'leases') {
    plain.leases = (plain.leases as Answer[]).map(({ ID }) => ID).toSorted()
  }
  for (const { methods, level } of answerDifferences) {
    if (methods.includes(name)) level(request as Answer, plain)
  }
  return plain
}

function describeRequest({ name, request }: RandomRequest, at: number): string {
  const text = JSON.stringify(request, (_key, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1').slice(0, 10) : value,
  )
  return `request ${at}: ${name} ${text}`
}
