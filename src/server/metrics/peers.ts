// peers.ts: the traffic between members under the names that etcd has for it. A peer of
// which nothing was heard or told yet has no samples.
import { memberHex } from '../../storage/schema.js'
import type { PeerFigures, PeerTraffic, SnapshotFigures } from '../peer/traffic.js'
import type { Metrics, Sample } from './registry.js'

export function registerPeers(metrics: Metrics, traffic: PeerTraffic, localId: bigint): void {
  const each = (label: 'To' | 'From', figure: (peer: PeerFigures) => number) =>
    function* (): Generator<Sample> {
      for (const [id, peer] of traffic.all()) yield [{ [label]: memberHex(id) }, figure(peer)]
    }
  const between = (figure: (peer: PeerFigures) => number) =>
    function* (): Generator<Sample> {
      const Local = memberHex(localId)
      for (const [id, peer] of traffic.all()) yield [{ Local, Remote: memberHex(id) }, figure(peer)]
    }
  const counter = (name: string, help: string, look: () => Iterable<Sample>) =>
    metrics.read('counter', `etcd_network_${name}`, help, look)
  counter(
    'peer_sent_bytes_total',
    'The total number of bytes sent to peers.',
    each('To', ({ sentBytes }) => sentBytes),
  )
  counter(
    'peer_received_bytes_total',
    'The total number of bytes received from peers.',
    each('From', ({ receivedBytes }) => receivedBytes),
  )
  counter(
    'peer_sent_failures_total',
    'The total number of send failures from peers.',
    each('To', ({ sentFailures }) => sentFailures),
  )
  counter(
    'peer_received_failures_total',
    'The total number of receive failures from peers.',
    each('From', ({ receivedFailures }) => receivedFailures),
  )
  counter(
    'disconnected_peers_total',
    'The total number of disconnected peers.',
    between(({ disconnections }) => disconnections),
  )
  metrics.read(
    'gauge',
    'etcd_network_active_peers',
    'The current number of active peer connections.',
    between(({ isActive }) => Number(isActive)),
  )
  metrics.histograms(
    'etcd_network_peer_round_trip_time_seconds',
    'Round-Trip-Time histogram between peers.',
    function* () {
      for (const [id, peer] of traffic.all()) yield [{ To: memberHex(id) }, peer.roundTripSeconds]
    },
  )
  registerSnapshots(metrics, traffic, { way: 'send', label: 'To' })
  registerSnapshots(metrics, traffic, { way: 'receive', label: 'From' })
}

function registerSnapshots(
  metrics: Metrics,
  traffic: PeerTraffic,
  { way, label }: { way: 'send' | 'receive'; label: 'To' | 'From' },
): void {
  const ended = way === 'send' ? 'snapshot sends' : 'snapshot receives'
  /** Those of a peer are there once there was a snapshot. */
  const used = function* (): Generator<readonly [Record<string, string>, SnapshotFigures]> {
    for (const [id, { snapshotsSent, snapshotsReceived }] of traffic.all()) {
      const figures = way === 'send' ? snapshotsSent : snapshotsReceived
      if (figures.inflight + figures.successes + figures.failures > 0) {
        yield [{ [label]: memberHex(id) }, figures]
      }
    }
  }
  const each = (figure: (figures: SnapshotFigures) => number) =>
    function* (): Generator<Sample> {
      for (const [labels, figures] of used()) yield [labels, figure(figures)]
    }
  const name = `etcd_network_snapshot_${way}`
  metrics.read(
    'counter',
    `${name}_success`,
    `Total number of successful ${ended}.`,
    each(({ successes }) => successes),
  )
  metrics.read(
    'counter',
    `${name}_failures`,
    `Total number of ${way} failures of snapshots.`,
    each(({ failures }) => failures),
  )
  metrics.read(
    'gauge',
    `${name}_inflights_total`,
    `Total number of inflight ${ended}.`,
    each(({ inflight }) => inflight),
  )
  metrics.histograms(
    `${name}_total_duration_seconds`,
    `Total latency distributions of ${ended}.`,
    function* () {
      for (const [labels, { seconds }] of used()) yield [labels, seconds]
    },
  )
}
