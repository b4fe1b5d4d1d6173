// jwt.ts: tokens that any member can check by a key, without having seen the login (RFC 7519).
//
//     header.claims.signature     each base64url; claims {"username", "revision", "exp"}
//
// A token is bound to the auth revision at its login: after any change of users or roles it is too
// old for a request that names keys, and the client logs in again.
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { Clock } from '../platform/clock.js'
import { type Identity, type Login, TokenError, type Tokens } from './token.js'

export interface JwtOptions {
  /** RS256, PS384, ES512, HS256, EdDSA and so on. */
  signMethod: string
  /** PEM, or the secret of an HS method. */
  privateKey?: Buffer
  /** PEM. Alone it can check tokens, not make them. */
  publicKey?: Buffer
  ttlMs: number
}

interface Signer {
  /** Undefined: only checks. */
  sign: ((data: Buffer) => Buffer) | undefined
  isSigned(data: Buffer, signature: Buffer): boolean
}

export class JwtTokens implements Tokens {
  readonly #clock: Pick<Clock, 'wall'>
  readonly #method: string
  readonly #ttlMs: number
  readonly #signer: Signer

  /** @throws TokenError on a method or keys that do not work */
  constructor(options: JwtOptions, clock: Pick<Clock, 'wall'>) {
    this.#clock = clock
    this.#method = options.signMethod
    this.#ttlMs = options.ttlMs
    this.#signer = signer(options)
  }

  letters(): string {
    return ''
  }

  remember(): void {}

  issue({ user, revision }: Login): string {
    if (this.#signer.sign === undefined) {
      throw new TokenError('auth: token signing attempted with verify-only key')
    }
    const exp = Math.floor((this.#clock.wall() + this.#ttlMs) / 1000)
    const signed = [
      { alg: this.#method, typ: 'JWT' },
      { exp, revision, username: user },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    return `${signed}.${this.#signer.sign(Buffer.from(signed)).toString('base64url')}`
  }

  knownFrom(): number {
    return 0
  }

  identify(token: string): Identity | undefined {
    const [header, claims, signature, ...more] = token.split('.')
    if (
      header === undefined ||
      claims === undefined ||
      signature === undefined ||
      more.length > 0
    ) {
      return undefined
    }
    // The method is ours to choose: one that the token brings along may be none at all.
    if (object(header)?.alg !== this.#method) return undefined
    const bytes = Buffer.from(signature, 'base64url')
    if (!this.#signer.isSigned(Buffer.from(`${header}.${claims}`), bytes)) return undefined
    return this.#identity(object(claims) ?? {})
  }

  forget(): void {}

  forgetAll(): void {}

  #identity(claims: Readonly<Record<string, unknown>>): Identity | undefined {
    const { username, revision, exp, nbf } = claims
    if (typeof username !== 'string' || typeof revision !== 'number') return undefined
    const seconds = this.#clock.wall() / 1000
    if (exp !== undefined && !(typeof exp === 'number' && seconds < exp)) return undefined
    if (nbf !== undefined && !(typeof nbf === 'number' && seconds >= nbf)) return undefined
    return { user: username, revision }
  }
}

function object(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined // not JSON, so not a part of a token
  }
}

/** Curves of the ES methods, as node names them. */
const curves: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

function signer(options: JwtOptions): Signer {
  const [, family, bits] = /^(RS|PS|ES|HS)(256|384|512)$/.exec(options.signMethod) ?? []
  const hash = `sha${bits}`
  if (family === 'HS') return secretSigner(options, hash)
  if (options.signMethod === 'EdDSA') return keySigner(options, { type: 'ed25519', hash: null })
  if (family === 'RS') return keySigner(options, { type: 'rsa', hash })
  if (family === 'ES') {
    return keySigner(options, { type: 'ec', hash, signing: { dsaEncoding: 'ieee-p1363' } })
  }
  if (family !== 'PS') throw new TokenError('auth: invalid auth signature method')
  const padding = constants.RSA_PKCS1_PSS_PADDING
  return keySigner(options, {
    type: 'rsa',
    hash,
    signing: { padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
    checking: { padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
  })
}

function secretSigner({ privateKey }: JwtOptions, hash: string): Signer {
  if (privateKey === undefined || privateKey.length === 0) {
    throw new TokenError('auth: missing key data')
  }
  const signature = (data: Buffer) => createHmac(hash, privateKey).update(data).digest()
  return {
    sign: signature,
    isSigned(data, given) {
      const expected = signature(data)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}

type How = Omit<SignKeyObjectInput, 'key'>

interface KeyMethod {
  type: string
  hash: string | null
  signing?: How
  /** As signing when absent. */
  checking?: How
}

function keySigner(options: JwtOptions, method: KeyMethod): Signer {
  const { type, hash, signing = {}, checking = signing } = method
  const privateKey = options.privateKey && parsed(options.privateKey, createPrivateKey)
  const publicKey = options.publicKey && parsed(options.publicKey, createPublicKey)
  const key = privateKey === undefined ? publicKey : createPublicKey(privateKey)
  if (key === undefined) throw new TokenError('auth: missing key data')
  const curve = curves[options.signMethod]
  const isOfCurve = curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve
  if (key.asymmetricKeyType !== type || !isOfCurve) {
    throw new TokenError(`auth: the key is not one for ${options.signMethod}`)
  }
  if (publicKey !== undefined && !publicKey.equals(key)) {
    throw new TokenError("auth: public and private keys don't match")
  }
  return {
    sign: privateKey && ((data) => sign(hash, data, { key: privateKey, ...signing })),
    isSigned: (data, signature) => verify(hash, data, { key, ...checking }, signature),
  }
}

function parsed(pem: Buffer, parse: (pem: Buffer) => KeyObject): KeyObject {
  try {
    return parse(pem)
  } catch (error) {
    throw new TokenError(`auth: invalid key: ${(error as Error).message}`, { cause: error })
  }
}
