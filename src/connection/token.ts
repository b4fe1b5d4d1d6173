// token.ts: name and password for a token, which then travels with every call. Loaded only when
// there is a user. A cluster without authentication is no error: the calls go without a token.
import { AuthenticateRequest, AuthenticateResponse } from '../api/gen/rpc.js'
import { etcdErrorCode } from '../api/rpc-errors.js'
import { RpcError } from '../grpc/status.js'

export interface User {
  name: string
  password: string
}

/** Sends the bytes of one call by path; the caller bounds it and names its errors. */
export type Send = (path: string, request: Uint8Array) => Promise<Buffer>

/** A token, or undefined where authentication is not enabled. */
export async function authenticate(user: User, send: Send): Promise<string | undefined> {
  const request = AuthenticateRequest.encode({ name: user.name, password: user.password }).finish()
  try {
    const answer = await send('/etcdserverpb.Auth/Authenticate', request)
    return AuthenticateResponse.decode(answer).token
  } catch (error) {
    const code = error instanceof RpcError ? etcdErrorCode(error.details) : undefined
    if (code === 'authNotEnabled') return undefined
    throw error
  }
}
