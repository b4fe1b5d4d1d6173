// open-plain-channel.ts: a channel that stays out of the way: no limits, no pings, no TLS, on the
// machine's clock.
import {
  type Address,
  type Channel,
  type ChannelOptions,
  openChannel,
} from '../../src/grpc/channel.js'
import { systemClock } from '../../src/platform/clock.js'
import { systemRandom } from '../../src/platform/random.js'

/** A number is a port of this machine. */
export function openPlainChannel(
  at: number | Address | readonly Address[],
  options: Partial<ChannelOptions> = {},
): Channel {
  return openChannel({
    addresses: typeof at === 'number' ? [{ host: '127.0.0.1', port: at }] : [at].flat(),
    sendMaxBytes: 2 ** 31 - 1,
    receiveMaxBytes: 2 ** 31 - 1,
    keepaliveTimeMs: 0,
    keepaliveTimeoutMs: 0,
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
}
