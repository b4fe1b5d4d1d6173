// The text of --auth-token, and how the flags about tokens and passwords reach the configuration.
import { expect, test } from 'vitest'
import { authToken } from '../../src/commands/auth-token.js'
import { givenTexts } from '../../src/commands/flag-texts.js'
import { serverSettings } from '../../src/commands/server-flags.js'

test.each<[text: string, setting: ReturnType<typeof authToken>]>([
  ['simple', { kind: 'simple' }],
  [
    'jwt,sign-method=RS256,priv-key=a.key,pub-key=a.pub,ttl=10m',
    {
      kind: 'jwt',
      signMethod: 'RS256',
      privateKeyFile: 'a.key',
      publicKeyFile: 'a.pub',
      ttlMs: 600_000,
    },
  ],
  [
    'jwt,pub-key=a.pub,sign-method=ES384',
    { kind: 'jwt', signMethod: 'ES384', publicKeyFile: 'a.pub', ttlMs: 300_000 },
  ],
])('%s', (text, setting) => {
  expect(authToken(text)).toEqual(setting)
})

test.each([
  ['', 'the kind must be simple or jwt'],
  ['magic', 'the kind must be simple or jwt'],
  ['jwt', 'sign-method is missing'],
  ['jwt,sign-method', 'sign-method is not of the form name=value'],
  ['jwt,sign-method=a=b', 'sign-method=a=b is not of the form name=value'],
  ['jwt,sign-method=RS256,sign-method=RS256', 'an option is given twice'],
  ['jwt,sign-method=RS256,key=k', 'unknown option key'],
  ['jwt,sign-method=RS256,ttl=5', 'time: missing unit in duration "5"'],
])('%j is refused: %s', (text, message) => {
  expect(() => authToken(text)).toThrow(message)
})

test('flags and variables reach the configuration, flags before variables', () => {
  const typed = { authToken: 'jwt,sign-method=HS256,priv-key=s,ttl=1s', bcryptCost: '12' }
  const env = { ETCD_AUTH_TOKEN: 'simple', ETCD_AUTH_TOKEN_TTL: '60' }
  expect(serverSettings(givenTexts(typed, env), { logLevel: 'info' }).given).toMatchObject({
    authToken: { kind: 'jwt', signMethod: 'HS256', privateKeyFile: 's', ttlMs: 1_000 },
    authTokenTtlSeconds: 60,
    bcryptCost: 12,
  })
})

test('a flag that cannot be read is named', () => {
  const settings = () =>
    serverSettings(givenTexts({ authToken: 'magic' }, {}), { logLevel: 'info' })
  expect(settings).toThrow(
    'invalid value "magic" for flag --auth-token: the kind must be simple or jwt',
  )
})
