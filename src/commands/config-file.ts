// config-file.ts: a configuration file of etcd (--config-file), YAML or JSON, as texts of flags:
//
//   name: m1                            name                   m1
//   log-outputs: [stderr]        ──►    log-outputs            stderr
//   client-transport-security:
//     cert-file: server.pem             cert-file              server.pem
//
// Keys are names of flags; what belongs to TLS stands in two sections. A key without a value
// leaves the default. As etcd's, the file is the only source: no flag and no variable adds to it.
import { parse } from 'yaml'
import { UsageError } from './context.js'
import type { FlagTexts } from './flag-texts.js'
import { isDurationFlag, isServerFlag } from './server-flags.js'

export interface ConfigFile {
  readonly texts: FlagTexts
  /** Keys that are no setting of etcd's; etcd passes over them without a word. */
  readonly unknown: readonly string[]
}

/** What the keys of a section are called as flags; others have the section's prefix. */
const sections: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'client-transport-security': {
    'cert-file': 'cert-file',
    'key-file': 'key-file',
    'client-cert-file': 'client-cert-file',
    'client-key-file': 'client-key-file',
    'client-cert-auth': 'client-cert-auth',
    'trusted-ca-file': 'trusted-ca-file',
    'auto-tls': 'auto-tls',
    'allowed-hostname': 'client-cert-allowed-hostname',
  },
  'peer-transport-security': {
    'cert-file': 'peer-cert-file',
    'key-file': 'peer-key-file',
    'client-cert-file': 'peer-client-cert-file',
    'client-key-file': 'peer-client-key-file',
    'client-cert-auth': 'peer-client-cert-auth',
    'trusted-ca-file': 'peer-trusted-ca-file',
    'auto-tls': 'peer-auto-tls',
    'allowed-cn': 'peer-cert-allowed-cn',
    'allowed-hostname': 'peer-cert-allowed-hostname',
    'skip-client-san-verification': 'peer-skip-client-san-verification',
  },
}

/** @throws UsageError when the content is no YAML, or has a section or a text that is none */
export function readConfigFile(content: string): ConfigFile {
  const texts = new Map<string, string>()
  const unknown: string[] = []
  for (const [key, value] of Object.entries(mapping(parsed(content), 'the file'))) {
    const section = Object.hasOwn(sections, key) ? sections[key] : undefined
    if (section === undefined) {
      set(key, value, isServerFlag(key) ? key : undefined)
      continue
    }
    for (const [inner, each] of Object.entries(mapping(value, key))) {
      set(`${key}.${inner}`, each, Object.hasOwn(section, inner) ? section[inner] : undefined)
    }
  }
  return { texts: (name) => texts.get(name), unknown }

  function set(key: string, value: unknown, flag: string | undefined): void {
    if (flag === undefined) unknown.push(key)
    else if (value !== null && value !== '') texts.set(flag, textOf(flag, value))
  }
}

function parsed(content: string): unknown {
  try {
    // Of 1.1, as etcd's reader: `yes` and `off` are truth values there.
    return parse(content, { version: '1.1', uniqueKeys: true, intAsBigInt: true })
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split('\n')
    throw new UsageError(`error converting YAML to JSON: ${line}`, 1)
  }
}

function mapping(value: unknown, what: string): Record<string, unknown> {
  if (value === null || value === undefined) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return { ...value }
  throw new UsageError(`invalid ${what}: not a mapping`, 1)
}

function textOf(flag: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => scalarText(flag, each)).join(',')
  const isBareDuration = typeof value === 'bigint' && isDurationFlag(flag)
  return isBareDuration ? `${value}ns` : scalarText(flag, value)
}

/** A mapping, or a date without quotes, is no text that anybody meant. */
function scalarText(flag: string, value: unknown): string {
  if (typeof value !== 'object') return String(value)
  throw new UsageError(`invalid ${flag} in the configuration file: not a text`, 1)
}
