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

/** A leaf is the complement of its symbol; a number from zero up is an inner node, 0 the root. */
type Node = [zero: number, one: number]

function codeTree(): readonly Node[] {
  const nodes: Node[] = [[0, 0]]
  const place = (symbol: number, code: number, bits: number): void => {
    let at = 0
    for (let bit = bits - 1; bit > 0; bit--) {
      const node = nodes[at] as Node
      const side = (code >>> bit) & 1
      // No node leads back to the root, so 0 is where nothing is yet.
      if (node[side as 0 | 1] === 0) node[side as 0 | 1] = nodes.push([0, 0]) - 1
      at = node[side as 0 | 1]
    }
    const last = nodes[at] as Node
    last[(code & 1) as 0 | 1] = ~symbol
  }
  let code = 0
  for (let bits = codeBitsMin; bits <= codeBitsMax; bits++) {
    for (let symbol = 0; symbol < codeBits.length; symbol++) {
      if (codeBits[symbol] === bits) place(symbol, code++, bits)
    }
    if (bits < codeBitsMax) code *= 2
  }
  place(endOfString, code, codeBitsMax)
  return nodes
}

// A step: the next state in the upper bits, then whether a symbol has ended, then the symbol.
const stateShift = 9
const hasSymbol = 0x100

/** In place of a step: the code of the end of a string, which must not come. */
const forbidden = 0xffff_ffff

interface Machine {
  readonly nodes: readonly Node[]
  /**
   * By state times 16 plus the next four bits. 0: not worked out yet, as most never are; whoever
   * comes back to the root has a symbol.
   */
  readonly steps: Uint32Array
  /** By state: whether a string may end there, after less than a byte of ones. */
  readonly mayEnd: Uint8Array
}

function machineOf(nodes: readonly Node[]): Machine {
  const mayEnd = new Uint8Array(nodes.length)
  for (let at = 0, ones = 0; ones < 8; ones++) {
    mayEnd[at] = 1
    at = (nodes[at] as Node)[1]
  }
  return { nodes, steps: new Uint32Array(nodes.length * 16), mayEnd }
}

function workedOut({ nodes, steps }: Machine, place: number): number {
  const step = stepOf(nodes, place >>> 4, place & 15)
  if (step === forbidden) throw new HpackError('the code for the end of a string')
  steps[place] = step
  return step
}

function stepOf(nodes: readonly Node[], state: number, bits: number): number {
  let at = state
  let symbol = 0
  for (let bit = 3; bit >= 0; bit--) {
    at = (nodes[at] as Node)[((bits >>> bit) & 1) as 0 | 1]
    if (at >= 0) continue
    if (~at === endOfString) return forbidden
    symbol = hasSymbol | ~at
    at = 0
  }
  return (at << stateShift) | symbol
}

let machine: Machine | undefined

/** Fits most strings. Nothing in it outlives a call. */
const scratch = Buffer.allocUnsafeSlow(1024)

/** The string, a character a byte. Throws HpackError for an end that is no padding. */
export function huffmanDecoded(bytes: Buffer, from: number, end: number): string {
  machine ??= machineOf(codeTree())
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
