// play.ts: the suite of one client and one server: every recorded group, each on fresh servers, its
// cases in their order. What only carries state runs as part of the next case that expects
// something; tsctl does it, in this process, whoever the client is.
//
// Most of the time of a group is spent waiting for a deadline, so a few groups are played at once;
// each test waits for what its case came to.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isEtcdInstalled } from '../../support/real-etcd.js'
import { type Client, tsctl } from './clients.js'
import { type Comparable, comparable, expected } from './comparing.js'
import { deviations, type Pair } from './deviations.js'
import { groups, type Scene, scenesOf } from './recording.js'
import { runCase, type Stage } from './replay.js'
import { type ServerKind, startServers } from './servers.js'
import { type StageHands, stageHands } from './stage-hands.js'

/** What a case came to. Failures are kept, for the test of the case to throw. */
type Result = { actual: Comparable; wanted: Comparable } | { failure: unknown }

interface Group {
  name: string
  scenes: readonly Scene[]
  results: readonly Promise<Result>[]
  settle: readonly ((result: Result) => void)[]
}

const groupsAtOnceMax = 4

/** The longest first, so that none is left over at the end. */
const slow = ['member', 'auth', 'endpoint', 'lock_elect', 'misc', 'watch']

export function playGolden(client: Client, server: ServerKind): void {
  const pair: Pair = `${client.name} with ${server}`
  const needsEtcd = client.name === 'etcdctl' || server === 'etcd'
  const isMissing = needsEtcd && !isEtcdInstalled && process.env.INTEROP !== 'required'
  const note = isMissing ? ' (SKIPPED: etcd and etcdctl are not installed)' : ''
  const names = [...slow, ...groups.filter((name) => !slow.includes(name))]
  const played = names.map(newGroup)

  describe.skipIf(isMissing)(`${pair}${note}`, () => {
    const home = process.cwd()
    let cwd: string
    let playing: Promise<unknown>
    beforeAll(async () => {
      // Commands name files of this folder; only one group makes any.
      cwd = await mkdtemp(path.join(tmpdir(), 'golden-'))
      process.chdir(cwd)
      const queue = [...played]
      const workers = Array.from({ length: groupsAtOnceMax }, async () => {
        for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
          await playGroup(group, { client, server, cwd })
        }
      })
      playing = Promise.all(workers)
    })
    afterAll(async () => {
      await playing
      process.chdir(home)
      await rm(cwd, { recursive: true, force: true })
    })

    for (const { name: group, scenes, results } of played) {
      describe(group, () => {
        scenes.forEach(({ expecting: { name } }, at) => {
          const reason = deviations[pair][`${group}: ${name}`]
          const title = reason === undefined ? name : `${name}: ${reason}`
          test(title, async () => check(await results[at], reason !== undefined))
        })
      })
    }

    test('at least 99 % of the recorded outcomes are the same', () => {
      const count = played.flatMap(({ scenes }) => scenes).length
      expect(Object.keys(deviations[pair]).length).toBeLessThanOrEqual(count / 100)
    })
  })
}

function newGroup(name: string): Group {
  const scenes = scenesOf(name)
  const settle: ((result: Result) => void)[] = []
  const results = scenes.map(() => new Promise<Result>((resolve) => settle.push(resolve)))
  return { name, scenes, results, settle }
}

function check(result: Result | undefined, isDeviation: boolean): void {
  if (result === undefined || 'failure' in result) throw result?.failure
  const { actual, wanted } = result
  if (isDeviation) expect(actual, 'is no deviation any more').not.toEqual(wanted)
  else expect(actual).toEqual(wanted)
}

async function playGroup(
  { name, scenes, settle }: Group,
  { client, server, cwd }: Pick<Stage, 'client' | 'server' | 'cwd'>,
): Promise<void> {
  try {
    await using servers = await startServers(server, scenes[0]?.expecting.server ?? '')
    const { addresses } = servers
    const stage: Stage = { client, server, addresses, cwd, hands: tsctl, captured: new Map() }
    const hands = stageHands(name, stage, servers)
    await hands.open()
    for (const [at, scene] of scenes.entries()) {
      settle[at]?.(await playScene(scene, stage, hands).catch((failure) => ({ failure })))
    }
  } catch (failure) {
    for (const one of settle) one({ failure }) // those that are settled stay so
  }
}

async function playScene(
  { before, expecting }: Scene,
  stage: Stage,
  hands: StageHands,
): Promise<Result> {
  for (const one of before) {
    await hands.before(one)
    await runCase(one, { ...stage, client: stage.hands })
    await hands.after(one)
  }
  await hands.before(expecting)
  const outcome = await runCase(expecting, stage)
  await hands.after(expecting)
  const actual = comparable(outcome, expecting, stage)
  return { actual, wanted: expected(expecting, stage) }
}
