// error-code.ts: with which of etcd's errors something is refused.
import { EtcdError } from '../../src/api/rpc-errors.js'

/** Undefined when nothing is thrown; what is no EtcdError is thrown on. */
export function codeOf(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof EtcdError) return error.code
    throw error
  }
}
