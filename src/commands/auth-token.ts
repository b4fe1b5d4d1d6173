// auth-token.ts: the text of --auth-token, taken apart as etcd does:
//
//     simple
//     jwt,sign-method=RS256,priv-key=server.key,pub-key=server.pub,ttl=10m
//
// Without a private key tokens can be checked but not made, unless the method needs only a secret.
import { durationMs, ValueError } from './values.js'

export type AuthTokenSetting =
  | { kind: 'simple' }
  | {
      kind: 'jwt'
      signMethod: string
      ttlMs: number
      privateKeyFile?: string
      publicKeyFile?: string
    }

const defaultTtl = '5m'
const known = ['sign-method', 'priv-key', 'pub-key', 'ttl']

/** @throws ValueError */
export function authToken(text: string): AuthTokenSetting {
  const [kind, ...words] = text.split(',')
  const options = new Map(words.map(option))
  if (options.size < words.length) throw new ValueError('an option is given twice')
  if (kind === 'simple') return { kind }
  if (kind !== 'jwt') throw new ValueError('the kind must be simple or jwt')
  const unknown = [...options.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) throw new ValueError(`unknown option ${unknown}`)
  const signMethod = options.get('sign-method')
  if (!signMethod) throw new ValueError('sign-method is missing')
  const privateKeyFile = options.get('priv-key')
  const publicKeyFile = options.get('pub-key')
  return {
    kind,
    signMethod,
    ttlMs: durationMs(options.get('ttl') || defaultTtl),
    ...(privateKeyFile && { privateKeyFile }),
    ...(publicKeyFile && { publicKeyFile }),
  }
}

function option(word: string): readonly [name: string, value: string] {
  const [name, value, ...more] = word.split('=')
  if (name === undefined || value === undefined || more.length > 0) {
    throw new ValueError(`${word} is not of the form name=value`)
  }
  return [name, value]
}
