// JSON web tokens: every method, and everything that must not pass for one.
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type JwtOptions, JwtTokens } from '../../src/auth/jwt.js'
import { newManualClock } from '../support/manual-clock.js'

const login = { user: 'ann', letters: '', index: 42, revision: 7 }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })

interface Pair {
  privateKey: KeyObject
  publicKey: KeyObject
}

const pairs: Readonly<Record<string, Pair>> = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: curve('P-256'),
  ES384: curve('P-384'),
  ES512: curve('P-521'),
  EdDSA: generateKeyPairSync('ed25519'),
}

const privatePem = (key: KeyObject) =>
  Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }) as string)
const publicPem = (key: KeyObject) =>
  Buffer.from(key.export({ type: 'spki', format: 'pem' }) as string)

function tokensOf(options: Omit<JwtOptions, 'ttlMs'>) {
  const clock = newManualClock()
  return { clock, tokens: new JwtTokens({ ttlMs: 300_000, ...options }, clock) }
}

describe.each(Object.entries(pairs))('%s', (signMethod, { privateKey, publicKey }) => {
  const both = { privateKey: privatePem(privateKey), publicKey: publicPem(publicKey) }

  test('identifies the user and the revision of the login', () => {
    const { tokens } = tokensOf({ signMethod, ...both })
    const token = tokens.issue(login)
    expect(tokens.identify(token)).toEqual({ user: 'ann', revision: 7 })
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: signMethod,
      typ: 'JWT',
    })
  })

  test('a private key alone is enough, a public key alone can only check', () => {
    const signing = tokensOf({ signMethod, privateKey: both.privateKey }).tokens
    const checking = tokensOf({ signMethod, publicKey: both.publicKey }).tokens
    expect(checking.identify(signing.issue(login))?.user).toBe('ann')
    expect(() => checking.issue(login)).toThrow(
      'auth: token signing attempted with verify-only key',
    )
  })

  test('a changed token is none', () => {
    const { tokens } = tokensOf({ signMethod, ...both })
    const [header, claims, signature] = tokens.issue(login).split('.')
    const forged = Buffer.from('{"username":"root","revision":7}').toString('base64url')
    expect(tokens.identify(`${header}.${forged}.${signature}`)).toBeUndefined()
    expect(tokens.identify(`${header}.${claims}.${signature?.slice(0, -4)}`)).toBeUndefined()
    expect(tokens.identify(`${header}.${claims}.`)).toBeUndefined()
    expect(tokens.identify(`${header}.${claims}`)).toBeUndefined()
  })
})

describe.each(['HS256', 'HS384', 'HS512'])('%s', (signMethod) => {
  test('identifies by a shared secret, and by no other', () => {
    const { tokens } = tokensOf({ signMethod, privateKey: Buffer.from('secret') })
    const other = tokensOf({ signMethod, privateKey: Buffer.from('secret2') }).tokens
    expect(tokens.identify(tokens.issue(login))).toEqual({ user: 'ann', revision: 7 })
    expect(tokens.identify(other.issue(login))).toBeUndefined()
  })
})

describe('a token', () => {
  const secret = Buffer.from('secret')
  const signed = (claims: object, header: object = { alg: 'HS256', typ: 'JWT' }) => {
    const parts = [header, claims].map((each) => {
      return Buffer.from(JSON.stringify(each)).toString('base64url')
    })
    const signature = createHmac('sha256', secret).update(parts.join('.')).digest('base64url')
    return [...parts, signature].join('.')
  }
  const claims = { username: 'ann', revision: 7 }

  test('ends when its time is over', () => {
    const { clock, tokens } = tokensOf({ signMethod: 'HS256', privateKey: secret })
    const token = tokens.issue(login)
    clock.advance(299_000)
    expect(tokens.identify(token)?.user).toBe('ann')
    clock.advance(1_000)
    expect(tokens.identify(token)).toBeUndefined()
  })

  test.each<[string, object, object?]>([
    ['of the method none', claims, { alg: 'none' }],
    ['of another method', claims, { alg: 'HS512' }],
    ['without a user', { revision: 7 }],
    ['whose user is no text', { ...claims, username: 1 }],
    ['without a revision', { username: 'ann' }],
    ['whose revision is no number', { ...claims, revision: '7' }],
    ['whose end is no number', { ...claims, exp: 'never' }],
    ['that is not yet valid', { ...claims, nbf: 5 }],
  ])('%s is none', (_, body, header) => {
    const { tokens } = tokensOf({ signMethod: 'HS256', privateKey: secret })
    expect(tokens.identify(signed(claims))?.user).toBe('ann')
    expect(tokens.identify(signed(body, header))).toBeUndefined()
  })

  test.each(['', '.', '..', 'a.b.c', 'abc.42'])('is not %j', (text) => {
    const { tokens } = tokensOf({ signMethod: 'HS256', privateKey: secret })
    expect(tokens.identify(text)).toBeUndefined()
  })

  test('signed with a public key as if it were a secret is none', () => {
    const publicKey = publicPem(rsa.publicKey)
    const { tokens } = tokensOf({ signMethod: 'RS256', publicKey })
    const confused = tokensOf({ signMethod: 'HS256', privateKey: publicKey }).tokens
    expect(tokens.identify(confused.issue(login))).toBeUndefined()
  })
})

test.each<[string, Omit<JwtOptions, 'ttlMs'>, string | RegExp]>([
  ['an unknown method', { signMethod: 'XY256' }, 'auth: invalid auth signature method'],
  ['no keys', { signMethod: 'RS256' }, 'auth: missing key data'],
  ['no secret', { signMethod: 'HS256' }, 'auth: missing key data'],
  [
    'a key of another kind',
    { signMethod: 'ES256', privateKey: privatePem(rsa.privateKey) },
    'auth: the key is not one for ES256',
  ],
  [
    'a key of another curve',
    {
      signMethod: 'ES256',
      publicKey: publicPem(createPublicKey(privatePem(curve('P-384').privateKey))),
    },
    'auth: the key is not one for ES256',
  ],
  [
    'keys that are no pair',
    {
      signMethod: 'EdDSA',
      privateKey: privatePem(generateKeyPairSync('ed25519').privateKey),
      publicKey: publicPem(generateKeyPairSync('ed25519').publicKey),
    },
    "auth: public and private keys don't match",
  ],
  [
    'what is no key',
    { signMethod: 'RS256', publicKey: Buffer.from('hello') },
    /^auth: invalid key: /,
  ],
])('%s is refused when the server starts', (_, options, message) => {
  expect(() => tokensOf(options)).toThrow(message)
})
