// Names that are no text are refused; text that looks like what bad bytes are shown as is text.
import { expect, test } from 'vitest'
import { AuthRoleAddRequest } from '../../../src/api/gen/rpc.js'
import type { ServerCall } from '../../../src/grpc/server.js'
import { ofText } from '../../../src/server/rpc/text-fields.js'

const answer = Buffer.from('answer')
const handler = ofText(AuthRoleAddRequest, { kind: 'unary', handle: () => answer })
const handled = (name: Buffer) => {
  if (handler.kind !== 'unary') throw new Error('not the handler')
  return handler.handle(Buffer.concat([Buffer.of(0x0a, name.length), name]), {} as ServerCall)
}

test.each(['r', '', 'рöле-😀', 'with \ufffd in it'])('%j is a name', (name) => {
  expect(handled(Buffer.from(name))).toBe(answer)
})

test.each(['bad\xff\xc3name', '\xed\xa0\x80', 'cut \xf0\x9f\x98'])('%j is none', (bytes) => {
  expect(() => handled(Buffer.from(bytes, 'latin1'))).toThrow(
    'rpc error: code = Internal desc = grpc: error unmarshalling request: ' +
      'string field contains invalid UTF-8',
  )
})
