// play.ts: the suite of one client and one server: every recorded group, each on fresh servers, its
// cases in their order. What only carries state runs as part of the next case that expects
// something; tsctl does it, in this process, whoever the client is.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isEtcdInstalled } from '../../support/real-etcd.js'
import { type Client, tsctl } from './clients.js'
import { comparable, expected } from './comparing.js'
import { deviations, notReplayed, type Pair } from './deviations.js'
import { groups, type Scene, scenesOf } from './recording.js'
import { runCase, type Stage } from './replay.js'
import { type ServerKind, type Servers, startServers } from './servers.js'
import { type StageHands, stageHands } from './stage-hands.js'

export function playGolden(client: Client, server: ServerKind): void {
  const pair: Pair = `${client.name} with ${server}`
  const needsEtcd = client.name === 'etcdctl' || server === 'etcd'
  const isMissing = needsEtcd && !isEtcdInstalled && process.env.INTEROP !== 'required'
  const note = isMissing ? ' (SKIPPED: etcd and etcdctl are not installed)' : ''
  const played = groups.filter((group) => notReplayed[pair]?.[group] === undefined)

  describe.skipIf(isMissing)(`${pair}${note}`, () => {
    for (const group of played) playGroup(group, pair, { client, server })

    test('at least 99 % of the recorded outcomes are the same', () => {
      const count = played.flatMap(scenesOf).length
      expect(Object.keys(deviations[pair]).length).toBeLessThanOrEqual(count / 100)
    })
  })
}

function playGroup(
  group: string,
  pair: Pair,
  { client, server }: { client: Client; server: ServerKind },
): void {
  describe(group, () => {
    const scenes = scenesOf(group)
    let servers: Servers
    let stage: Stage
    let hands: StageHands
    beforeAll(async () => {
      servers = await startServers(server, scenes[0]?.expecting.server ?? '')
      const cwd = await mkdtemp(path.join(tmpdir(), 'golden-'))
      const { addresses } = servers
      stage = { client, server, addresses, cwd, hands: tsctl, captured: new Map() }
      hands = stageHands(group, stage, servers)
      await hands.open()
    }, 60_000)
    afterAll(async () => {
      await servers?.[Symbol.asyncDispose]()
      if (stage !== undefined) await rm(stage.cwd, { recursive: true, force: true })
    })

    for (const scene of scenes) {
      const { name } = scene.expecting
      const reason = deviations[pair][`${group}: ${name}`]
      const title = reason === undefined ? name : `${name}: ${reason}`
      test(title, () => playScene(scene, { stage, hands, isDeviation: reason !== undefined }))
    }
  })
}

interface Playing {
  stage: Stage
  hands: StageHands
  isDeviation: boolean
}

async function playScene({ before, expecting }: Scene, playing: Playing): Promise<void> {
  const { stage, hands, isDeviation } = playing
  for (const one of before) {
    await hands.before(one)
    await runCase(one, { ...stage, client: stage.hands })
    await hands.after(one)
  }
  await hands.before(expecting)
  const outcome = await runCase(expecting, stage)
  await hands.after(expecting)
  const actual = comparable(outcome, expecting, stage)
  const wanted = expected(expecting, stage)
  if (isDeviation) expect(actual, 'is no deviation any more').not.toEqual(wanted)
  else expect(actual).toEqual(wanted)
}
