// empty-state.ts: the state of a member that has applied nothing yet, and how its parts know each
// other: the lessor deletes keys through the store.
import { Passwords } from '../../auth/password.js'
import { AuthStore } from '../../auth/store.js'
import type { Tokens } from '../../auth/token.js'
import { Lessor, minTtlSeconds } from '../../lease/lessor.js'
import { WatchableStore } from '../../mvcc/watchable-store.js'
import { Alarms } from '../alarm.js'
import type { ServerConfig } from '../config.js'
import { Membership } from '../membership/membership.js'
import type { Platform } from '../platform.js'
import type { State } from './checkpoint.js'

export function emptyState(
  config: ServerConfig,
  clusterId: bigint,
  { clock, random, tokens }: Pick<Platform, 'clock' | 'random'> & { tokens: Tokens },
): State {
  const lessor: Lessor = new Lessor({
    clock,
    minTtlSeconds: minTtlSeconds(config),
    deleteKeys: (keys) => deleteKeys(store, keys),
  })
  const store: WatchableStore = new WatchableStore()
  const auth = new AuthStore({ tokens, passwords: new Passwords(config.bcryptCost, random) })
  return { store, lessor, auth, alarms: new Alarms(), membership: new Membership(clusterId) }
}

/** One transaction, so that all keys of a lease go at one revision. */
function deleteKeys(store: WatchableStore, keys: readonly Buffer[]): void {
  const txn = store.begin()
  for (const key of keys) txn.deleteRange(key, undefined)
  txn.end()
}
