// The HEADERS frames in what a client sends, found however it is cut, and everything else as it
// was.
import { describe, expect, test } from 'vitest'
import { HeaderRepair } from '../../src/grpc/header-repair.js'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1])
  head.writeUIntBE(payload.length, 0, 3)
  return Buffer.concat([head, payload])
}

const field = (value: string): Buffer =>
  Buffer.concat([Buffer.from([0x83, 0x41, value.length]), Buffer.from(value)])

const settings = frame(4, 0, Buffer.alloc(6))
const data = frame(0, 1, field('http://in/the/data'))
const url = frame(1, 4, field('http://127.0.0.1'))
const socketPath = frame(1, 5, field('/run/etcd'))
const sound = frame(1, 4, field('localhost:2379'))
const empty = frame(1, 4, Buffer.alloc(0))
const other = [
  frame(1, 0, field('http://to/be/continued')),
  frame(9, 4, field('http://a/continuation')),
  frame(1, 4 | 8, field('http://padded')),
  frame(1, 4 | 0x20, field('http://with/priority')),
]

const before = [preface, settings, url, data, sound, data, socketPath, empty, url, ...other]
const repaired = [frame(1, 4, field('-')), frame(1, 5, field('-'))] as const
const after = Buffer.concat(
  before.map((part) => (part === url ? repaired[0] : part === socketPath ? repaired[1] : part)),
)
const whole = Buffer.concat(before)

describe('every frame of HEADERS is repaired, nothing else', () => {
  test('in one piece', () => {
    expect(Buffer.concat(new HeaderRepair().push(whole))).toEqual(after)
  })

  test('cut in two at every place', () => {
    for (let cut = 0; cut <= whole.length; cut++) {
      const repair = new HeaderRepair()
      const out = [...repair.push(whole.subarray(0, cut)), ...repair.push(whole.subarray(cut))]
      expect(Buffer.concat(out)).toEqual(after)
    }
  })

  test('a byte at a time, and no byte of data is kept back', () => {
    const repair = new HeaderRepair()
    const out = Array.from(whole, (_, i) => repair.push(whole.subarray(i, i + 1))).flat()
    expect(Buffer.concat(out)).toEqual(after)
    expect(repair.push(data.subarray(0, 12)).join('')).toBe(data.subarray(0, 12).toString())
  })
})

test('a frame too large for anybody is handed on, not gathered', () => {
  const repair = new HeaderRepair()
  const claim = Buffer.from('004001010400000001', 'hex')
  expect(Buffer.concat(repair.push(Buffer.concat([preface, claim])))).toHaveLength(33)
  expect(repair.push(Buffer.alloc(1000))).toEqual([Buffer.alloc(1000)])
})
