// Durations, sizes and ids: tables of Go's and etcdctl's texts.

import { expect, test } from 'vitest'
import { durationText } from '../../src/output/duration.js'
import { hexId, spacePaddedId, zeroPaddedId } from '../../src/output/hex-id.js'
import { humanSize, notInUsePercent } from '../../src/output/humanize.js'

test.each([
  [0n, '0s'],
  [1n, '1ns'],
  [999n, '999ns'],
  [1_000n, '1µs'],
  [938_125n, '938.125µs'],
  [903_100n, '903.1µs'],
  [999_999n, '999.999µs'],
  [1_000_000n, '1ms'],
  [2_343_539n, '2.343539ms'],
  [3_439_110n, '3.43911ms'],
  [999_999_999n, '999.999999ms'],
  [1_000_000_000n, '1s'],
  [1_001_543_832n, '1.001543832s'],
  [5_000_617_727n, '5.000617727s'],
  [59_999_999_999n, '59.999999999s'],
  [60_000_000_000n, '1m0s'],
  [60_500_000_000n, '1m0.5s'],
  [3_600_000_000_000n, '1h0m0s'],
  [90_061_000_000_001n, '25h1m1.000000001s'],
  [-1_500_000n, '-1.5ms'],
])('%d ns is %s', (ns, expected) => {
  expect(durationText(ns)).toBe(expected)
})

test.each([
  ['0', '0 B'],
  ['9', '9 B'],
  ['10', '10 B'],
  ['999', '999 B'],
  ['1000', '1.0 kB'],
  ['1049', '1.0 kB'],
  ['1050', '1.1 kB'],
  ['9949', '9.9 kB'],
  ['9950', '10 kB'],
  ['10500', '10 kB'],
  ['11500', '12 kB'],
  ['20480', '20 kB'],
  ['24576', '25 kB'],
  ['32768', '33 kB'],
  ['99499', '100 kB'],
  ['999499', '1000 kB'],
  ['999999', '1000 kB'],
  ['1000000', '1.0 MB'],
  ['999999999', '1000 MB'],
  ['1000000000', '1.0 GB'],
  ['2147483648', '2.1 GB'],
  ['8589934592', '8.6 GB'],
  ['1000000000000', '1.0 TB'],
  ['1000000000000000', '1.0 PB'],
  ['1000000000000000000', '1.0 EB'],
  ['18446744073709551615', '18 EB'],
])('%s bytes are %s', (bytes, expected) => {
  expect(humanSize(bytes)).toBe(expected)
})

test.each([
  ['16384', '20480', '20%'],
  ['20480', '20480', '0%'],
  ['0', '20480', '100%'],
  ['1', '3', '67%'],
  ['0', '0', '0%'],
  ['9007199254740993', '9007199254740993', '0%'],
])('%s of %s in use leaves %s', (inUse, size, expected) => {
  expect(notInUsePercent(inUse, size)).toBe(expected)
})

test.each([
  ['0', '0', '0000000000000000', '               0'],
  ['31', '1f', '000000000000001f', '              1f'],
  ['10276657743932975437', '8e9e05c52164694d', '8e9e05c52164694d', '8e9e05c52164694d'],
  ['18446744073709551615', 'ffffffffffffffff', 'ffffffffffffffff', 'ffffffffffffffff'],
  ['-1', '-1', '-000000000000001', '              -1'],
  ['-9223372036854775808', '-8000000000000000', '-8000000000000000', '-8000000000000000'],
])('id %s is %s, padded %s and %s', (id, hex, zeros, spaces) => {
  expect([hexId(id), zeroPaddedId(id), spacePaddedId(id)]).toEqual([hex, zeros, spaces])
})
