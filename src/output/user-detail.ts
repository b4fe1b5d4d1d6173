// user-detail.ts: `user get --detail`, a frame of plain text around the roles of a user. etcdctl
// prints the frame itself, whatever the format, and only the roles go through the format.

import type { Format, Output, ResultOf } from './result.js'

export function userDetail(
  { user, roles }: ResultOf<'userDetail'>,
  print: Format['print'],
): Output {
  const parts = roles.map(({ role, response }) => print({ kind: 'roleGet', role, response }).stdout)
  const framed = parts.flatMap((part) => [Buffer.from('\n'), Buffer.from(part)])
  return { stdout: Buffer.concat([Buffer.from(`User: ${user}\n`), ...framed]) }
}
