// golden.test.ts: what a real etcdctl 3.4.23 printed against a real etcd, compared with what tsctl
// prints against a real etcd and against the bundled server, and with what the real etcdctl prints
// against the bundled server: standard output byte for byte, the exit code, the error.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isEtcdInstalled } from '../support/real-etcd.js'
import { type Client, etcdctl, tsctl } from './golden/clients.js'
import { comparable, expected } from './golden/comparing.js'
import { deviations, notReplayed } from './golden/deviations.js'
import { groups, scenesOf } from './golden/recording.js'
import { runCase, type Stage } from './golden/replay.js'
import { type ServerKind, type Servers, startServers } from './golden/servers.js'
import { stageHands } from './golden/stage-hands.js'

const pairs: readonly { client: Client; server: ServerKind }[] = [
  { client: tsctl, server: 'bundled' },
  { client: tsctl, server: 'etcd' },
  { client: etcdctl, server: 'bundled' },
]

for (const { client, server } of pairs) {
  const pair = `${client.name} with ${server}` as const
  const needsEtcd = client === etcdctl || server === 'etcd'
  const isSkipped = needsEtcd && !isEtcdInstalled && process.env.INTEROP !== 'required'
  const played = groups.filter((group) => notReplayed[pair]?.[group] === undefined)

  describe.skipIf(isSkipped)(pair, () => {
    for (const group of played) {
      describe(group, () => {
        const scenes = scenesOf(group)
        let servers: Servers
        let stage: Stage
        let hands: ReturnType<typeof stageHands>
        beforeAll(async () => {
          servers = await startServers(server, scenes[0]?.expecting.server ?? '')
          const cwd = await mkdtemp(path.join(tmpdir(), 'golden-'))
          stage = { client, server, addresses: servers.addresses, captured: new Map(), cwd }
          hands = stageHands(group, stage, servers)
          await hands.open()
        }, 60_000)
        afterAll(async () => {
          await servers?.[Symbol.asyncDispose]()
          if (stage !== undefined) await rm(stage.cwd, { recursive: true, force: true })
        })

        for (const { before, expecting } of scenes) {
          const reason = deviations[pair]?.[`${group}: ${expecting.name}`]
          const title = reason === undefined ? expecting.name : `${expecting.name}: ${reason}`
          test(title, async () => {
            for (const one of before) {
              await hands.before(one)
              await runCase(one, stage).catch(() => undefined)
              await hands.after(one)
            }
            await hands.before(expecting)
            const outcome = await runCase(expecting, stage)
            await hands.after(expecting)
            const actual = comparable(outcome, expecting, stage)
            const wanted = expected(expecting, stage)
            if (reason === undefined) expect(actual).toEqual(wanted)
            else expect(actual, 'is no deviation any more').not.toEqual(wanted)
          })
        }
      })
    }
  })
}
