// bcrypt.ts: bcrypt, the password hash that etcd stores ("A Future-Adaptable Password Scheme",
// Provos and Mazières, 1999): Blowfish, with a key schedule that is made expensive on purpose.
//
//     $2a$10$N9qo8uLOickgx2ZMRZoMye IjZAgcfl7p92ldGxad68LJZdL17lhWy
//      |   |  salt, 16 bytes         digest, 23 bytes
//      |   cost: 2^10 rounds
//      version; all that are in use mean the same for passwords up to 72 bytes
//
// One hash takes tens of milliseconds, which a server cannot spend in one piece. So the work is a
// generator that stops every millisecond or so: whoever runs it decides what else gets a turn.

export const costMin = 4
export const costMax = 31
/** Bytes of a password that count; the NUL behind it is one of them when there is room. */
export const passwordBytesMax = 72
export const saltBytes = 16

const digestBytes = 23
/** Both about a millisecond. */
const roundsPerStep = 16
const termsPerStep = 512n
const wordsOfP = 18
const wordsOfS = 4 * 256

export interface BcryptHash {
  cost: number
  salt: Buffer
  digest: Buffer
}

/** The digest of a password, in steps. `cost` from costMin to costMax. */
export function* bcryptSteps(
  password: Uint8Array,
  { cost, salt }: Omit<BcryptHash, 'digest'>,
): Generator<void, Buffer, void> {
  const key = words(Buffer.concat([password, Buffer.alloc(1)]), wordsOfP)
  const saltWords = words(salt, wordsOfP)
  const cipher = new Blowfish(yield* initialState())
  cipher.expand(key, saltWords)
  const rounds = 2 ** cost
  for (let round = 0; round < rounds; round++) {
    cipher.expand(key, noSalt)
    cipher.expand(saltWords, noSalt)
    if (round % roundsPerStep === 0) yield
  }
  return cipher.digest()
}

/** As etcd writes it, and reads it again. */
export function formatHash({ cost, salt, digest }: BcryptHash): string {
  return `$2a$${String(cost).padStart(2, '0')}$${encoded(salt)}${encoded(digest)}`
}

/** Undefined: not a hash of this kind. */
export function parseHash(text: string): BcryptHash | undefined {
  const [, digits, salt, digest] = hashForm.exec(text) ?? []
  const cost = Number(digits)
  if (salt === undefined || digest === undefined || cost < costMin || cost > costMax) {
    return undefined
  }
  return {
    cost,
    salt: decoded(salt).subarray(0, saltBytes),
    digest: decoded(digest).subarray(0, digestBytes),
  }
}

const hashForm = /^\$2[a-z]?\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/

class Blowfish {
  readonly #p: Int32Array
  readonly #s: Int32Array
  #left = 0
  #right = 0

  constructor({ p, s }: State) {
    this.#p = p.slice()
    this.#s = s.slice()
  }

  /** Mixes a key of 18 words into the state, and a salt of 4 words that repeats. */
  expand(key: Int32Array, salt: Int32Array): void {
    const p = this.#p
    for (let i = 0; i < wordsOfP; i++) p[i] = at(p, i) ^ at(key, i)
    this.#left = 0
    this.#right = 0
    this.#refill(p, salt, 0)
    this.#refill(this.#s, salt, wordsOfP)
  }

  /** What becomes of the three blocks of the magic text when they are encrypted 64 times. */
  digest(): Buffer {
    const out = Buffer.alloc(magic.length * 4)
    for (let i = 0; i < magic.length; i += 2) {
      this.#left = at(magic, i)
      this.#right = at(magic, i + 1)
      for (let time = 0; time < 64; time++) this.#encrypt()
      out.writeInt32BE(this.#left, i * 4)
      out.writeInt32BE(this.#right, i * 4 + 4)
    }
    return out.subarray(0, digestBytes)
  }

  /** Replaces two words after the other by the block that goes on being encrypted. */
  #refill(target: Int32Array, salt: Int32Array, offset: number): void {
    for (let i = 0; i < target.length; i += 2) {
      this.#left ^= at(salt, (offset + i) & 3)
      this.#right ^= at(salt, (offset + i + 1) & 3)
      this.#encrypt()
      target[i] = this.#left
      target[i + 1] = this.#right
    }
  }

  /** One block, in sixteen rounds of which two are unrolled. */
  #encrypt(): void {
    const p = this.#p
    const s = this.#s
    let left = this.#left ^ at(p, 0)
    let right = this.#right
    for (let i = 1; i <= 16; i += 2) {
      right ^= mixed(s, left) ^ at(p, i)
      left ^= mixed(s, right) ^ at(p, i + 1)
    }
    this.#left = right ^ at(p, 17)
    this.#right = left
  }
}

function mixed(s: Int32Array, word: number): number {
  const sum = at(s, word >>> 24) + at(s, 256 | ((word >>> 16) & 255))
  return ((sum ^ at(s, 512 | ((word >>> 8) & 255))) + at(s, 768 | (word & 255))) | 0
}

/** Every index here is in range by construction. */
function at(array: Int32Array, index: number): number {
  return array[index] as number
}

const noSalt = new Int32Array(4)

/** Big-endian words of bytes that repeat. */
function words(bytes: Uint8Array, count: number): Int32Array {
  const repeated = Buffer.alloc(count * 4, bytes)
  return Int32Array.from({ length: count }, (_, index) => repeated.readInt32BE(index * 4))
}

const magic = words(Buffer.from('OrpheanBeholderScryDoubt'), 6)

interface State {
  readonly p: Int32Array
  readonly s: Int32Array
}

let firstState: State | undefined

/** P and S begin as the fraction of pi, all 1042 words of it: made on first use, then kept. */
function* initialState(): Generator<void, State, void> {
  if (firstState !== undefined) return firstState
  const count = wordsOfP + wordsOfS
  const fraction = yield* piFraction(count * 32)
  const all = words(Buffer.from(fraction.toString(16).padStart(count * 8, '0'), 'hex'), count)
  firstState = { p: all.subarray(0, wordsOfP), s: all.subarray(wordsOfP) }
  return firstState
}

/** pi = 16 arctan 1/5 - 4 arctan 1/239 (Machin, 1706), in fixed point with bits to spare. */
function* piFraction(bits: number): Generator<void, bigint, void> {
  const spare = 64n
  const one = 1n << (BigInt(bits) + spare)
  const fifth = yield* arctanOfInverse(5n, one)
  const pi = 16n * fifth - 4n * (yield* arctanOfInverse(239n, one))
  return (pi - 3n * one) >> spare
}

/** 1/x - 1/3x³ + 1/5x⁵ - ... */
function* arctanOfInverse(x: bigint, one: bigint): Generator<void, bigint, void> {
  let sum = 0n
  let power = one / x
  for (let n = 1n; power > 0n; n += 2n) {
    sum += n % 4n === 1n ? power / n : -power / n
    power /= x * x
    if (n % termsPerStep === 1n) yield
  }
  return sum
}

/** bcrypt's own base64: other digits, in another order, and no padding. */
const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const standard = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function encoded(bytes: Buffer): string {
  return translated(bytes.toString('base64').replaceAll('=', ''), standard, alphabet)
}

function decoded(text: string): Buffer {
  return Buffer.from(translated(text, alphabet, standard), 'base64')
}

function translated(text: string, from: string, to: string): string {
  return text.replace(/./g, (digit) => to[from.indexOf(digit)] ?? '')
}
