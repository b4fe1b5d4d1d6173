// Who a call is from: tokens, certificates, and neither. Over a socket see ../auth.test.ts.
import { expect, test } from 'vitest'
import { Passwords } from '../../../src/auth/password.js'
import { AuthStore } from '../../../src/auth/store.js'
import { SimpleTokens } from '../../../src/auth/token.js'
import { systemRandom } from '../../../src/platform/random.js'
import { IndexWait } from '../../../src/server/index-wait.js'
import { Access } from '../../../src/server/rpc/access.js'
import { newManualClock } from '../../support/manual-clock.js'

function newParts({ isCertificateChecked = true } = {}) {
  const tokens = new SimpleTokens({ clock: newManualClock(), random: systemRandom }, 300)
  const auth = new AuthStore({ tokens, passwords: new Passwords(4, systemRandom) })
  auth.addUser({ name: 'root', password: Buffer.alloc(0), noPassword: true })
  auth.grantRole('root', 'root')
  auth.enable()
  const applied = new IndexWait()
  applied.reached(10)
  return { auth, applied, access: new Access({ auth, applied, isCertificateChecked }) }
}

interface Shown {
  metadata?: Record<string, string>
  commonName?: string
  signal?: AbortSignal
}

const call = ({ metadata = {}, commonName, signal = new AbortController().signal }: Shown) => ({
  path: '',
  metadata,
  signal,
  peer: { address: '', ...(commonName === undefined ? {} : { commonName }) },
})

test('a certificate names the user', async () => {
  const { access, auth } = newParts()
  const who = await access.identify(call({ commonName: 'ann' }))
  expect(who).toEqual({ user: 'ann', revision: auth.revision })
})

test('a certificate that nobody checked names nobody', async () => {
  const { access } = newParts({ isCertificateChecked: false })
  expect(await access.identify(call({ commonName: 'ann' }))).toBeUndefined()
})

test('the certificate of a gateway does not stand for its clients', async () => {
  const { access } = newParts()
  const metadata = { 'grpcgateway-accept': '*/*' }
  expect(await access.identify(call({ commonName: 'gateway', metadata }))).toBeUndefined()
})

test('a token counts before a certificate, even a bad one', async () => {
  const { access } = newParts()
  const shown = call({ commonName: 'ann', metadata: { token: 'nonsense' } })
  await expect(access.identify(shown)).rejects.toMatchObject({ code: 'invalidAuthToken' })
})

test('a certificate of no user is refused like an unknown user', async () => {
  const { access } = newParts()
  const asked = access.require('root', call({ commonName: 'zoe' }))
  await expect(asked).rejects.toMatchObject({ code: 'userNotFound' })
  const nameless = access.require('root', call({ commonName: '' }))
  await expect(nameless).rejects.toMatchObject({ code: 'userEmpty' })
})

test('while authentication is off, nobody is anybody', async () => {
  const { access, auth } = newParts()
  auth.disable()
  expect(access.identify(call({ commonName: 'ann' }))).toBeUndefined()
  expect(access.identify(call({ metadata: { token: 'nonsense' } }))).toBeUndefined()
  expect(access.check('/etcdserverpb.Maintenance/Hash', call({}))).toBeUndefined()
})

test('a token of a login that is not applied here yet waits for it', async () => {
  const { access, auth, applied } = newParts()
  const login = { user: 'ann', letters: auth.tokens.letters(), index: 12, revision: 3 }
  const waiting = access.identify(call({ metadata: { token: auth.tokens.issue(login) } }))
  applied.reached(11)
  auth.tokens.remember(login)
  applied.reached(12)
  expect(await waiting).toMatchObject({ user: 'ann' })
})

test('a call that ends while its token waits is refused', async () => {
  const { access } = newParts()
  const controller = new AbortController()
  const { signal } = controller
  const waiting = access.identify(call({ metadata: { token: 'letters.999999' }, signal }))
  controller.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'invalidAuthToken' })
})
