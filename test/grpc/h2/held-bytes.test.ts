// What a paused stream holds of its request: all of it, in order, and in little more memory.
import { expect, test } from 'vitest'
import { HeldBytes } from '../../../src/grpc/h2/held-bytes.js'

function taken(held: HeldBytes): Buffer[] {
  const pieces: Buffer[] = []
  for (let piece = held.shift(); piece !== undefined; piece = held.shift()) pieces.push(piece)
  return pieces
}

test('a window in pieces of one byte, each of a large buffer, takes what it holds', () => {
  const held = new HeldBytes({ mayKeep: false })
  const count = 100_000
  const socketPiece = Buffer.alloc(65_536, 'abcdefg')
  for (let i = 0; i < count; i++) held.push(socketPiece.subarray(i % 7, (i % 7) + 1))
  expect(held.bytes).toBe(count)
  const pieces = taken(held)
  expect(Buffer.concat(pieces)).toEqual(Buffer.alloc(count, 'abcdefg'))
  const buffers = new Set(pieces.map(({ buffer }) => buffer))
  expect(buffers.has(socketPiece.buffer)).toBe(false)
  const bytes = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(bytes).toBeLessThan(count + 16 * 1024)
  expect(pieces.length).toBeLessThan(20)
})

test('what comes between takings stands behind what was there', () => {
  const held = new HeldBytes({ mayKeep: false })
  held.push(Buffer.alloc(300, 'a'))
  held.push(Buffer.alloc(100_000, 'b'))
  const first = held.shift()
  expect(first?.toString()).toBe('a'.repeat(300))
  held.push(Buffer.from('c'))
  expect(held.bytes).toBe(100_001)
  const rest = Buffer.concat(taken(held)).toString()
  expect(rest).toBe(`${'b'.repeat(100_000)}c`)
  expect(held.bytes).toBe(0)
  held.push(Buffer.from('d'))
  expect(String(held.shift())).toBe('d')
  held.push(Buffer.from('e'))
  held.clear()
  expect([held.bytes, held.shift()]).toEqual([0, undefined])
})

test('of an answer a large piece is kept as it came, a small part of one is not', () => {
  const held = new HeldBytes({ mayKeep: true })
  const socketPiece = Buffer.alloc(65_536, 'abcdefg')
  const large = socketPiece.subarray(7, 7 + 16_384)
  held.push(Buffer.from('before'))
  held.push(large)
  held.push(socketPiece.subarray(0, 16_383))
  held.push(Buffer.from('behind'))
  expect(held.bytes).toBe(6 + 16_384 + 16_383 + 6)
  const pieces = taken(held)
  expect(pieces.filter(({ buffer }) => buffer === socketPiece.buffer)).toEqual([large])
  const [before, behind] = [Buffer.from('before'), Buffer.from('behind')]
  const all = Buffer.concat([before, large, socketPiece.subarray(0, 16_383), behind])
  expect(Buffer.concat(pieces).equals(all)).toBe(true)
  expect(held.bytes).toBe(0)
})
