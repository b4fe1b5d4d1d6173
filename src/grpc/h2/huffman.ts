// huffman.ts: strings in the Huffman code of HPACK (RFC 7541 §5.2, appendix B).
//
// The code is canonical: of two symbols the one with the shorter code, or else the smaller one,
// comes first, and codes are counted up in that order. So the lengths say everything, and the codes
// are made from them, when the first coded string comes.
//
// The decoder is a machine that takes four bits at a time. Its states are the inner nodes of the
// tree of codes: where in a code the bits so far have led. No code is shorter than five bits, so a
// step ends one symbol at most.
import { HpackError } from './hpack-error.js'

/** Bits of the codes of the bytes 0 to 255, sixteen a line. */
const codeBits: readonly number[] = [
  [13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
  [28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  [6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
  [5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  [13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  [7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  [15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
  [6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  [20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
  [24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  [22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
  [21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  [26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
  [19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  [20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
  [26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
].flat()

const codeBitsMin = 5
const codeBitsMax = 30

/** The code of thirty ones is no byte, but the end of a string that is never sent whole. */
const endOfString = 256

/**
 * The tree of codes, level by level; a level is a number of bits. The codes of a level are counted
 * up from the left, so its leaves stand on the left and its inner nodes on the right of them, and
 * nobody has to draw the tree: a few numbers a level, which take no time at the start, say it all.
 */
interface Level {
  /** The codes from here on, up to `firstInner`, are symbols. */
  readonly firstLeaf: number
  /** The codes from here on lead further down. */
  readonly firstInner: number
  /** Place of the symbol of `firstLeaf`. */
  readonly firstSymbol: number
  /** Number of the state of `firstInner`. */
  readonly firstState: number
}

interface Code {
  readonly levels: readonly Level[]
  /** In the order of their codes. */
  readonly symbols: readonly number[]
}

function newCode(): Code {
  const byBits: number[][] = Array.from({ length: codeBitsMax + 1 }, () => [])
  for (let symbol = 0; symbol < codeBits.length; symbol++) {
    byBits[codeBits[symbol] as number]?.push(symbol)
  }
  byBits[codeBitsMax]?.push(endOfString)
  const levels: Level[] = []
  const symbols: number[] = []
  let firstLeaf = 0
  let firstState = 0
  for (let bits = 0; bits <= codeBitsMax; bits++) {
    const leaves = byBits[bits] as number[]
    const firstInner = firstLeaf + leaves.length
    levels.push({ firstLeaf, firstInner, firstSymbol: symbols.length, firstState })
    symbols.push(...leaves)
    firstState += 2 ** bits - firstInner
    firstLeaf = 2 * firstInner
  }
  return { levels, symbols }
}

// A step: the next state in the upper bits, then whether a symbol has ended, then the symbol.
const stateShift = 9
const hasSymbol = 0x100

/** In place of a step: the code of the end of a string, which must not come. */
const forbidden = 0xffff_ffff

interface Machine extends Code {
  /**
   * By state times 16 plus the next four bits. 0: not worked out yet, as most never are; whoever
   * comes back to the root has a symbol.
   */
  readonly steps: Uint32Array
  /** By state: whether a string may end there, after less than a byte of ones. */
  readonly mayEnd: Uint8Array
}

/** A tree with so many leaves has one inner node less. */
const stateCount = codeBits.length

function newMachine(): Machine {
  const code = newCode()
  const mayEnd = new Uint8Array(stateCount)
  // Of ones alone is the last inner node of a level.
  for (const { firstState } of code.levels.slice(1, 9)) mayEnd[firstState - 1] = 1
  return { ...code, steps: new Uint32Array(stateCount * 16), mayEnd }
}

function workedOut(machine: Machine, place: number): number {
  const step = stepOf(machine, place >>> 4, place & 15)
  if (step === forbidden) throw new HpackError('the code for the end of a string')
  machine.steps[place] = step
  return step
}

function stepOf({ levels, symbols }: Code, state: number, next: number): number {
  let bits = levels.findLastIndex(({ firstState }) => firstState <= state)
  let code = state + shiftOf(levels[bits] as Level)
  let symbol = 0
  for (let bit = 3; bit >= 0; bit--) {
    bits++
    code = 2 * code + ((next >>> bit) & 1)
    const { firstInner, firstLeaf, firstSymbol } = levels[bits] as Level
    if (code >= firstInner) continue
    const found = symbols[firstSymbol + code - firstLeaf] as number
    if (found === endOfString) return forbidden
    symbol = hasSymbol | found
    bits = 0
    code = 0
  }
  return ((code - shiftOf(levels[bits] as Level)) << stateShift) | symbol
}

/** From the number of a state to the bits that lead there. */
const shiftOf = ({ firstInner, firstState }: Level): number => firstInner - firstState

let machine: Machine | undefined

/** Fits most strings. Nothing in it outlives a call. */
const scratch = Buffer.allocUnsafeSlow(1024)

/** The string, a character a byte. Throws HpackError for an end that is no padding. */
export function huffmanDecoded(bytes: Buffer, from: number, end: number): string {
  machine ??= newMachine()
  const { steps, mayEnd } = machine
  const sizeMax = Math.ceil(((end - from) * 8) / codeBitsMin)
  const out = sizeMax <= scratch.length ? scratch : Buffer.allocUnsafe(sizeMax)
  let fill = 0
  let state = 0
  for (let at = from; at < end; at++) {
    const byte = bytes[at] as number
    const first = state * 16 + (byte >>> 4)
    const upper = steps[first] || workedOut(machine, first)
    if ((upper & hasSymbol) !== 0) out[fill++] = upper
    const second = (upper >>> stateShift) * 16 + (byte & 15)
    const lower = steps[second] || workedOut(machine, second)
    if ((lower & hasSymbol) !== 0) out[fill++] = lower
    state = lower >>> stateShift
  }
  if (mayEnd[state] === 0) throw new HpackError('a string that ends within a code')
  return out.toString('latin1', 0, fill)
}
