// auth.ts: users for a server that was asked for them: root, with the role root, and
// authentication turned on. Asked for as a client would ask.
import {
  AuthEnableRequest,
  AuthRoleAddRequest,
  AuthUserAddRequest,
  AuthUserGrantRoleRequest,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { Handler, ServerCall } from '../../grpc/server.js'

/** In a directory they may be there already. */
const known: ReadonlySet<string> = new Set(['userAlreadyExist', 'roleAlreadyExist', 'userEmpty'])

export async function addRoot(
  methods: ReadonlyMap<string, Handler>,
  password: string,
): Promise<void> {
  const user = { name: 'root', password, options: undefined, hashedPassword: '' }
  const steps: readonly (readonly [method: string, request: Uint8Array])[] = [
    ['UserAdd', AuthUserAddRequest.encode(user).finish()],
    ['RoleAdd', AuthRoleAddRequest.encode({ name: 'root' }).finish()],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'root', role: 'root' }).finish()],
    ['AuthEnable', AuthEnableRequest.encode({}).finish()],
  ]
  for (const [method, request] of steps) {
    const path = `/etcdserverpb.Auth/${method}`
    const handler = methods.get(path)
    if (handler?.kind !== 'unary') throw new Error(`${path} is no unary method`)
    const { signal } = new AbortController()
    const call: ServerCall = { path, metadata: {}, signal, peer: { address: '@' } }
    try {
      await handler.handle(Buffer.from(request), call)
    } catch (error) {
      if (!(error instanceof EtcdError && known.has(error.code))) throw error
    }
  }
}
