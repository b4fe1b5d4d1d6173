// server-flags-inert.ts: flags of etcd, from 3.4 to 3.7, that set nothing in the bundled server.
// Unit files, manifests and configuration files have them all the same. Those that nobody's data
// or safety depends on are taken with any text, and the log names them once; the others only with
// the texts that ask for what this server does anyway.
import { UsageError } from './context.js'
import type { FlagTexts } from './flag-texts.js'
import { boolean } from './values.js'

interface InertFlag {
  readonly name: string
  /** Needs no text. */
  readonly isSwitch: boolean
  /** The texts that are taken; undefined: any. */
  readonly only?: readonly string[]
}

/** About logs, profiles and traces; files of a database that is not mapped; pace; old APIs. */
const withText = [
  ...['logger', 'log-output', 'log-outputs', 'log-format', 'log-package-levels'],
  ...['log-rotation-config-json', 'distributed-tracing-address', 'distributed-tracing-instance-id'],
  ...['distributed-tracing-sampling-rate', 'distributed-tracing-service-name'],
  ...['max-snapshots', 'max-wals', 'backend-batch-interval', 'backend-batch-limit'],
  ...['backend-bbolt-freelist-type', 'bootstrap-defrag-threshold-megabytes'],
  ...['compaction-batch-limit', 'compaction-sleep-interval', 'compact-hash-check-time'],
  ...['downgrade-check-time', 'warning-apply-duration', 'warning-unary-request-duration'],
  ...['grpc-keepalive-min-time', 'grpc-keepalive-interval', 'grpc-keepalive-timeout'],
  ...['raft-read-timeout', 'raft-write-timeout', 'self-signed-cert-validity'],
  ...['client-cert-file', 'client-key-file', 'v2-deprecation', 'discovery-fallback'],
  ...['proxy-failure-wait', 'proxy-refresh-interval', 'proxy-dial-timeout'],
  ...['proxy-write-timeout', 'proxy-read-timeout'],
]

const switches = [
  ...['debug', 'enable-pprof', 'enable-log-rotation', 'enable-distributed-tracing', 'enable-v2'],
  ...['initial-election-tick-advance', 'strict-reconfig-check', 'memory-mlock'],
  ...['socket-reuse-port', 'socket-reuse-address', 'peer-skip-client-san-verification'],
  ...['compact-hash-check-enabled', 'txn-mode-write-with-shared-buffer'],
  ...['stop-grpc-service-on-defrag'],
]

/** What would be missed: a client who is not refused, a cluster that is not found. */
const limited: readonly InertFlag[] = [
  { name: 'discovery', isSwitch: false, only: [''] },
  { name: 'discovery-proxy', isSwitch: false, only: [''] },
  { name: 'discovery-srv', isSwitch: false, only: [''] },
  { name: 'discovery-srv-name', isSwitch: false, only: [''] },
  { name: 'discovery-endpoints', isSwitch: false, only: [''] },
  { name: 'discovery-token', isSwitch: false, only: [''] },
  { name: 'proxy', isSwitch: false, only: ['off'] },
  { name: 'enable-v2v3', isSwitch: false, only: [''] },
  { name: 'client-crl-file', isSwitch: false, only: [''] },
  { name: 'peer-crl-file', isSwitch: false, only: [''] },
  { name: 'peer-client-cert-file', isSwitch: false, only: [''] },
  { name: 'peer-client-key-file', isSwitch: false, only: [''] },
  { name: 'client-cert-allowed-hostname', isSwitch: false, only: [''] },
  { name: 'peer-cert-allowed-hostname', isSwitch: false, only: [''] },
  { name: 'peer-auto-tls', isSwitch: true, only: ['false'] },
  { name: 'max-learners', isSwitch: false, only: ['1'] },
]

/** Names that began with `experimental-` before 3.6 or before they went. */
const wereExperimental = [
  ...['backend-bbolt-freelist-type', 'bootstrap-defrag-threshold-megabytes'],
  ...['compaction-batch-limit', 'compaction-sleep-interval', 'compact-hash-check-enabled'],
  ...['compact-hash-check-time', 'downgrade-check-time', 'warning-apply-duration'],
  ...['warning-unary-request-duration', 'memory-mlock', 'peer-skip-client-san-verification'],
  ...['enable-distributed-tracing', 'distributed-tracing-address', 'max-learners'],
  ...['distributed-tracing-instance-id', 'distributed-tracing-sampling-rate'],
  ...['distributed-tracing-service-name', 'txn-mode-write-with-shared-buffer', 'enable-v2v3'],
  ...['stop-grpc-service-on-defrag'],
]

const now: readonly InertFlag[] = [
  ...withText.map((name) => ({ name, isSwitch: false })),
  ...switches.map((name) => ({ name, isSwitch: true })),
  ...limited,
]

export const inertFlags: readonly InertFlag[] = [
  ...now,
  ...now
    .filter(({ name }) => wereExperimental.includes(name))
    .map((flag) => ({ ...flag, name: `experimental-${flag.name}` })),
]

/** Names of those that were given without being what is done anyway. @throws UsageError */
export function givenInert(texts: FlagTexts, except: readonly string[] = []): string[] {
  const asked = inertFlags.filter(({ name }) => !except.includes(name))
  return asked.flatMap(({ name, isSwitch, only }) => {
    const text = texts(name)
    if (text === undefined) return []
    if (only === undefined) return [name]
    if (only.includes(isSwitch ? truthText(text) : text)) return []
    const taken = only.filter((one) => one !== '').map((one) => `, only ${one}`)
    throw new UsageError(`--${name}=${text} is not supported here${taken.join('')}`, 1)
  })
}

/** `true` or `false`; a text that is neither stays as it is. */
function truthText(text: string): string {
  try {
    return String(boolean(text))
  } catch {
    return text
  }
}
