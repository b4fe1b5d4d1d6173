// key-range.ts: the three shapes of a range on the wire. An absent end means the one key, an end
// of one NUL byte means everything from the key on, any other end is exclusive.
//
//   one key       key "a"   end ""
//   a prefix      key "a"   end "b"         "a" to before "b"
//   from a key    key "a"   end "\0"
//   all keys      key "\0"  end "\0"        the empty key is not a key, so the first is NUL

export const openEnd: Buffer = Buffer.of(0)

export interface KeyRange {
  key: Buffer
  range_end: Buffer
}

/** The first key behind all keys that begin with `prefix`; the open end if there is none. */
export function prefixEnd(prefix: Buffer): Buffer {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return openEnd
  const end = Buffer.from(prefix.subarray(0, length))
  end[length - 1] = (end[length - 1] ?? 0) + 1
  return end
}

export function prefixRange(prefix: Buffer): KeyRange {
  if (prefix.length === 0) return { key: openEnd, range_end: openEnd }
  return { key: prefix, range_end: prefixEnd(prefix) }
}

export function fromKeyRange(key: Buffer): KeyRange {
  return { key: key.length === 0 ? openEnd : key, range_end: openEnd }
}
