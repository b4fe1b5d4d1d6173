// hex-id.ts: ids in hexadecimal, in the three widths that etcdctl uses.
//
// Ids come as decimal strings. Member and cluster ids are unsigned, lease ids signed: a negative
// one shows its sign, which counts as one of the sixteen places.
//
//     hexId          member lists, lock keys            1f
//     zeroPaddedId   lease commands       000000000000001f
//     spacePaddedId  member commands                    1f

export const hexId = (id: string): string => BigInt(id).toString(16)

export function zeroPaddedId(id: string): string {
  const hex = hexId(id)
  return hex.startsWith('-') ? `-${hex.slice(1).padStart(15, '0')}` : hex.padStart(16, '0')
}

export const spacePaddedId = (id: string): string => hexId(id).padStart(16, ' ')
