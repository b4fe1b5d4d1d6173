// Users, roles and permissions: what each change does and refuses, and who may do what.
import { beforeEach, describe, expect, test } from 'vitest'
import { Permission_Type as Type } from '../../src/api/gen/auth.js'
import { Passwords } from '../../src/auth/password.js'
import { AuthStore } from '../../src/auth/store.js'
import { SimpleTokens } from '../../src/auth/token.js'
import { systemRandom } from '../../src/platform/random.js'
import { newManualClock } from '../support/manual-clock.js'

const { READ, WRITE, READWRITE } = Type
const bytes = (text: string) => Buffer.from(text, 'latin1')
const permission = (key: string, end = '', permType: Type = READWRITE) => ({
  permType,
  key: bytes(key),
  range_end: bytes(end),
})
const keys = (key: string, end = '') => ({ key: bytes(key), end: bytes(end) })

function newStore(): AuthStore {
  const tokens = new SimpleTokens({ clock: newManualClock(), random: systemRandom }, 300)
  return new AuthStore({ tokens, passwords: new Passwords(4, systemRandom) })
}

let auth: AuthStore
beforeEach(() => {
  auth = newStore()
})

const addUser = (name: string) => auth.addUser({ name, password: bytes('hash'), noPassword: false })

/** root with its role; ann may read [a, c) and write b. */
function fill(): void {
  addUser('root')
  auth.grantRole('root', 'root')
  addUser('ann')
  auth.addRole('reader')
  auth.grantPermission('reader', permission('a', 'c', READ))
  auth.grantPermission('reader', permission('b', '', WRITE))
  auth.grantRole('ann', 'reader')
}

const now = (user: string) => ({ user, revision: auth.revision })

describe('the revision', () => {
  test('is 1 in a new store and rises by one with each change', () => {
    const seen: number[] = [auth.revision]
    const step = (change: () => void) => {
      change()
      seen.push(auth.revision)
    }
    step(() => addUser('root'))
    step(() => auth.addRole('r'))
    step(() => auth.grantPermission('r', permission('a')))
    step(() => auth.grantRole('root', 'r'))
    step(() => auth.changePassword('root', bytes('h')))
    step(() => auth.revokePermission('r', keys('a')))
    step(() => auth.revokeRole('root', 'r'))
    step(() => auth.grantRole('root', 'root'))
    step(() => auth.deleteRole('r'))
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('stays where nothing changes, and with enabling, but rises with disabling', () => {
    fill()
    const { revision } = auth
    auth.grantRole('ann', 'reader')
    auth.disable()
    auth.enable()
    auth.enable()
    expect(auth.revision).toBe(revision)
    auth.disable()
    expect(auth.revision).toBe(revision + 1)
  })

  test('stays where a change is refused', () => {
    fill()
    auth.enable()
    const before = auth.records()
    const refused: (() => void)[] = [
      () => addUser('ann'),
      () => auth.deleteUser('root'),
      () => auth.deleteRole('nobody'),
      () => auth.revokeRole('ann', 'root'),
      () => auth.grantPermission('reader', undefined),
      () => auth.revokePermission('reader', keys('a')),
    ]
    for (const change of refused) expect(change).toThrow()
    expect(auth.records()).toEqual(before)
  })
})

describe('a change is refused:', () => {
  beforeEach(fill)
  test.each<[string, () => void]>([
    ['userEmpty', () => addUser('')],
    ['userAlreadyExist', () => addUser('ann')],
    ['userNotFound', () => auth.deleteUser('bob')],
    ['userNotFound', () => auth.changePassword('bob', bytes('h'))],
    ['userNotFound', () => auth.grantRole('bob', 'reader')],
    ['roleNotFound', () => auth.grantRole('ann', 'writer')],
    ['userNotFound', () => auth.revokeRole('bob', 'reader')],
    ['roleNotGranted', () => auth.revokeRole('ann', 'writer')],
    ['roleEmpty', () => auth.addRole('')],
    ['roleAlreadyExist', () => auth.addRole('reader')],
    ['roleNotFound', () => auth.deleteRole('writer')],
    ['roleNotFound', () => auth.permissions('writer')],
    ['roleNotFound', () => auth.permissions('root')],
    ['permissionNotGiven', () => auth.grantPermission('writer', undefined)],
    ['invalidAuthMgmt', () => auth.grantPermission('writer', permission('b', 'a'))],
    ['roleNotFound', () => auth.grantPermission('writer', permission('a'))],
    ['roleNotFound', () => auth.revokePermission('writer', keys('a'))],
    ['permissionNotGranted', () => auth.revokePermission('reader', keys('a'))],
    ['permissionNotGranted', () => auth.revokePermission('reader', keys('b', 'c'))],
    ['authNotEnabled', () => auth.logIn({ user: 'ann', letters: 'x', index: 1 })],
  ])('%s (%s)', (code, change) => {
    expect(change).toThrow(expect.objectContaining({ code }))
  })
})

describe('enabling', () => {
  test('needs root with its role', () => {
    expect(() => auth.enable()).toThrow(expect.objectContaining({ code: 'rootUserNotExist' }))
    addUser('root')
    expect(() => auth.enable()).toThrow(expect.objectContaining({ code: 'rootRoleNotExist' }))
    auth.grantRole('root', 'root')
    auth.enable()
    expect(auth.isEnabled).toBe(true)
  })

  test('keeps root as it is, until disabled', () => {
    fill()
    auth.addRole('root')
    auth.enable()
    const code = 'invalidAuthMgmt'
    expect(() => auth.deleteUser('root')).toThrow(expect.objectContaining({ code }))
    expect(() => auth.revokeRole('root', 'root')).toThrow(expect.objectContaining({ code }))
    expect(() => auth.deleteRole('root')).toThrow(expect.objectContaining({ code }))
    auth.disable()
    auth.deleteRole('root')
    auth.deleteUser('root')
    expect(auth.userNames()).toEqual(['ann'])
  })
})

describe('roles', () => {
  test('are listed by the order of bytes, for users too', () => {
    addUser('u')
    for (const name of ['b', 'B', 'ä', 'a']) {
      auth.addRole(name)
      auth.grantRole('u', name)
    }
    expect(auth.roleNames()).toEqual(['B', 'a', 'b', 'ä'])
    expect(auth.user('u')?.roles).toEqual(['B', 'a', 'b', 'ä'])
  })

  test('leave the users that had them when they are deleted', () => {
    fill()
    auth.deleteRole('reader')
    expect(auth.user('ann')?.roles).toEqual([])
  })

  test('named root grant everything, whatever is written in them', () => {
    auth.addRole('root')
    expect(auth.permissions('root')).toEqual([permission('', '\0')])
  })

  test('keep permissions by key; the same keys again change their type', () => {
    auth.addRole('r')
    for (const [key, end] of [['b'], ['a', 'z'], ['c']] as const) {
      auth.grantPermission('r', permission(key, end, READ))
    }
    auth.grantPermission('r', permission('a', 'z', WRITE))
    expect(auth.permissions('r')).toEqual([
      permission('a', 'z', WRITE),
      permission('b', '', READ),
      permission('c', '', READ),
    ])
  })

  test('only compare the first permission that begins at the key', () => {
    auth.addRole('r')
    auth.grantPermission('r', permission('a', '', READ))
    auth.grantPermission('r', permission('a', 'z', READ))
    auth.grantPermission('r', permission('a', 'z', WRITE))
    expect(auth.permissions('r')).toEqual([
      permission('a', '', READ),
      permission('a', 'z', READ),
      permission('a', 'z', WRITE),
    ])
    auth.revokePermission('r', keys('a', 'z'))
    expect(auth.permissions('r')).toEqual([permission('a', '', READ)])
  })
})

describe('who may do what', () => {
  beforeEach(fill)

  test('is not asked until it is enabled', () => {
    expect(() => auth.check(undefined, 'write', keys('z'))).not.toThrow()
    expect(() => auth.checkRoot(undefined)).not.toThrow()
    expect(auth.isRoot(undefined)).toBe(true)
  })

  test.each<[who: string | undefined, 'read' | 'write', string, string, string | undefined]>([
    [undefined, 'read', 'a', '', 'userEmpty'],
    ['root', 'write', 'a', '\0', undefined],
    ['ann', 'read', 'a', 'c', undefined],
    ['ann', 'read', 'a', 'd', 'permissionDenied'],
    ['ann', 'write', 'b', '', undefined],
    ['ann', 'write', 'a', '', 'permissionDenied'],
    ['bob', 'read', 'a', '', 'permissionDenied'],
  ])('%s %s [%s, %s): %s', (user, access, key, end, code) => {
    auth.enable()
    const who = user === undefined ? undefined : now(user)
    const check = () => auth.check(who, access, keys(key, end))
    if (code === undefined) expect(check).not.toThrow()
    else expect(check).toThrow(expect.objectContaining({ code }))
  })

  test.each([
    [undefined, 'userEmpty'],
    ['', 'userEmpty'],
    ['bob', 'userNotFound'],
    ['ann', 'permissionDenied'],
  ])('%j is no administrator: %s', (user, code) => {
    auth.enable()
    const who = user === undefined ? undefined : now(user)
    expect(() => auth.checkRoot(who)).toThrow(expect.objectContaining({ code }))
    expect(() => auth.checkRoot(now('root'))).not.toThrow()
  })

  test('changes at once with roles, and makes what was let in before too old', () => {
    auth.enable()
    const before = now('ann')
    auth.revokePermission('reader', keys('a', 'c'))
    const code = 'authOldRevision'
    expect(() => auth.check(before, 'read', keys('a'))).toThrow(expect.objectContaining({ code }))
    expect(() => auth.check(now('ann'), 'read', keys('a'))).toThrow(
      expect.objectContaining({ code: 'permissionDenied' }),
    )
    auth.grantPermission('reader', permission('a', '', READ))
    expect(() => auth.check(now('ann'), 'read', keys('a'))).not.toThrow()
  })
})

describe('logins', () => {
  beforeEach(() => {
    fill()
    auth.enable()
  })
  const logIn = (user: string) =>
    auth.tokens.issue(auth.logIn({ user, letters: auth.tokens.letters(), index: 1 }))
  const userOf = (token: string) => auth.tokens.identify(token, 1)?.user

  test('give a token that a new password, deletion and disabling take back', () => {
    const first = logIn('ann')
    auth.changePassword('ann', bytes('new'))
    const second = logIn('ann')
    const roots = logIn('root')
    expect([first, second, roots].map(userOf)).toEqual([undefined, 'ann', 'root'])
    auth.deleteUser('ann')
    expect([second, roots].map(userOf)).toEqual([undefined, 'root'])
    auth.disable()
    expect(userOf(roots)).toBeUndefined()
  })

  test('that a member reads again after a restart give no tokens', () => {
    auth.endLoginsUpTo(5)
    const tokenOf = (index: number) =>
      auth.tokens.issue(auth.logIn({ user: 'ann', letters: 'x', index }))
    expect(auth.tokens.identify(tokenOf(5), 1)).toBeUndefined()
    expect(auth.tokens.identify(tokenOf(6), 1)?.user).toBe('ann')
  })

  test('are refused for unknown users and for those without a password', () => {
    auth.addUser({ name: 'certified', password: bytes(''), noPassword: true })
    for (const user of ['bob', 'certified']) {
      expect(() => logIn(user)).toThrow(expect.objectContaining({ code: 'authFailed' }))
    }
  })

  test('a user without a password never gets one', () => {
    auth.addUser({ name: 'certified', password: bytes(''), noPassword: true })
    auth.changePassword('certified', bytes('hash'))
    expect(auth.user('certified')?.password).toEqual(bytes(''))
  })
})

test('what is kept comes back as it was', () => {
  fill()
  auth.enable()
  const copy = newStore()
  copy.restore(auth.records())
  expect(copy.records()).toEqual(auth.records())
  expect(copy.isEnabled).toBe(true)
  expect(() => copy.check(now('ann'), 'read', keys('a', 'c'))).not.toThrow()
})
