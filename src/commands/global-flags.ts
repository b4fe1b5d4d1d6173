// global-flags.ts: the flags that every command takes, as data: what they are called, what they
// hold, what they mean. Parser, environment, `options` and --debug all read this one list.
//
// Each has a variable: ETCDCTL_ and its name in capitals, `_` for `-`. Those of the last group are
// ours; etcdctl does not know them.
import type { Flag } from './parse.js'
import { boolean, count, durationMs, list, ValueError } from './values.js'

/** The flags with their values, after command line, environment and defaults. */
export interface GlobalOptions {
  readonly endpoints: readonly string[]
  readonly writeOut: string
  readonly tableStyle: 'ascii' | 'unicode'
  readonly color: 'auto' | 'always' | 'never'
  readonly hex: boolean
  readonly debug: boolean
  readonly dialTimeoutMs: number
  readonly commandTimeoutMs: number
  /** snapshot save has a deadline only when --command-timeout or its variable was given. */
  readonly commandTimeoutGiven: boolean
  readonly keepaliveTimeMs: number
  readonly keepaliveTimeoutMs: number
  readonly maxRequestBytes: number
  readonly maxRecvBytes: number
  readonly insecureTransport: boolean
  readonly insecureDiscovery: boolean
  readonly insecureSkipTlsVerify: boolean
  /** Undefined: not given. An empty name, given, is refused when the connection is made. */
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly cacert: string | undefined
  readonly user: string
  readonly password: string
  readonly authJwtToken: string
  readonly discoverySrv: string
  readonly discoverySrvName: string
}

type Key = Exclude<keyof GlobalOptions, 'commandTimeoutGiven'>

export interface GlobalFlag extends Flag {
  readonly key: Key
  /** As help names the kind of value; undefined for a boolean. */
  readonly placeholder: string | undefined
  /** As help and --debug write it. */
  readonly defaultText: string
  readonly description: string
  readonly default: GlobalOptions[Key]
  /** Its value is nobody's business: --debug does not show it. */
  readonly isSecret: boolean
}

interface Details {
  short?: string
  isSecret?: boolean
}

function bool(name: string, key: Key, initial: boolean, description: string): GlobalFlag {
  const kind = { isBoolean: true, read: boolean, placeholder: undefined }
  const texts = { defaultText: String(initial), description }
  return { name, key, short: undefined, ...kind, ...texts, default: initial, isSecret: false }
}

function flag(
  name: string,
  key: Key,
  kind: { placeholder: string; read: Flag['read']; defaultText: string },
  description: string,
  { short, isSecret = false }: Details = {},
): GlobalFlag {
  const initial = kind.defaultText === '' ? emptyValue(key) : kind.read(kind.defaultText, undefined)
  // The reader of a flag gives the type of its key: test/commands/global-flags.test.ts goes
  // through all of them.
  const value = initial as GlobalOptions[Key]
  return { name, key, short, isBoolean: false, ...kind, description, default: value, isSecret }
}

const emptyValue = (key: Key): string | undefined =>
  key === 'cert' || key === 'key' || key === 'cacert' ? undefined : ''

const text = (defaultText = '') => ({
  placeholder: 'string',
  read: (word: string): string => word,
  defaultText,
})

const duration = (defaultText: string) => ({
  placeholder: 'duration',
  read: durationMs,
  defaultText,
})

const size = { placeholder: 'int', read: count, defaultText: '0' }

/** Repeating the flag adds to the list; its first word replaces the default. */
const endpointList = {
  placeholder: 'strings',
  read: (word: string, before: unknown): readonly string[] =>
    Array.isArray(before) ? [...before, ...list(word)] : list(word),
  defaultText: '127.0.0.1:2379',
}

const oneOf = (choices: readonly string[]) => ({
  placeholder: 'string',
  read: (word: string): string => {
    if (choices.includes(word)) return word
    throw new ValueError(`must be one of ${choices.join(', ')}`)
  },
  defaultText: choices[0] ?? '',
})

export const globalFlags: readonly GlobalFlag[] = [
  flag('endpoints', 'endpoints', endpointList, 'where the cluster listens, separated by commas'),
  flag(
    'write-out',
    'writeOut',
    text('simple'),
    'output format (fields, json, protobuf, simple, table)',
    { short: 'w' },
  ),
  bool('hex', 'hex', false, 'print keys and values as hexadecimal bytes'),
  bool('debug', 'debug', false, 'print settings and connection details to standard error'),
  flag('dial-timeout', 'dialTimeoutMs', duration('2s'), 'time limit of authentication'),
  flag('command-timeout', 'commandTimeoutMs', duration('5s'), 'time limit of a short command'),
  flag(
    'keepalive-time',
    'keepaliveTimeMs',
    duration('2s'),
    'pause between pings of the server while a call is under way; 10s at least',
  ),
  flag(
    'keepalive-timeout',
    'keepaliveTimeoutMs',
    duration('6s'),
    'time limit of the answer to a ping',
  ),
  flag('max-request-bytes', 'maxRequestBytes', size, 'largest request to send; 0 stands for 2 MiB'),
  flag('max-recv-bytes', 'maxRecvBytes', size, 'largest answer to accept; 0 stands for 2 GiB'),
  bool('insecure-transport', 'insecureTransport', true, 'no TLS to endpoints without a scheme'),
  bool(
    'insecure-discovery',
    'insecureDiscovery',
    true,
    'accept discovered endpoints that do not use TLS',
  ),
  bool(
    'insecure-skip-tls-verify',
    'insecureSkipTlsVerify',
    false,
    "do not check the server's certificate (for tests only)",
  ),
  flag('cert', 'cert', text(), 'file with the client certificate, PEM'),
  flag('key', 'key', text(), 'file with the key of the client certificate, PEM'),
  flag('cacert', 'cacert', text(), "file with the authorities of the server's certificate, PEM"),
  flag('user', 'user', text(), 'name or name:password; asks for a password that is not given'),
  flag('password', 'password', text(), 'password; --user is then the name alone', {
    isSecret: true,
  }),
  flag('auth-jwt-token', 'authJwtToken', text(), 'ready-made token, instead of user and password', {
    isSecret: true,
  }),
  flag('discovery-srv', 'discoverySrv', text(), 'domain whose SRV records name the endpoints', {
    short: 'd',
  }),
  flag('discovery-srv-name', 'discoverySrvName', text(), 'suffix of the service in SRV records'),

  flag('table-style', 'tableStyle', oneOf(['ascii', 'unicode']), 'lines of tables: ascii, unicode'),
  flag('color', 'color', oneOf(['auto', 'always', 'never']), 'colour: auto, always, never'),
]

/** The variable that stands in for a flag. */
export function variableOf(name: string): string {
  return `ETCDCTL_${name.toUpperCase().replaceAll('-', '_')}`
}
