// auth-tokens.ts: the kind of token that a member was told to use, with the keys that it needs.
import { JwtTokens } from '../auth/jwt.js'
import { SimpleTokens, TokenError, type Tokens } from '../auth/token.js'
import { ConfigError, type ServerConfig } from './config.js'
import type { Platform } from './platform.js'

/** @throws ConfigError */
export async function newTokens(
  { authToken, authTokenTtlSeconds }: ServerConfig,
  { files, clock, random }: Platform,
): Promise<Tokens> {
  if (authToken.kind === 'simple') return new SimpleTokens({ clock, random }, authTokenTtlSeconds)
  const { signMethod, ttlMs, publicKeyFile, privateKeyFile } = authToken
  try {
    return new JwtTokens(
      {
        signMethod,
        ttlMs,
        ...(publicKeyFile && { publicKey: await files.readFile(publicKeyFile) }),
        ...(privateKeyFile && { privateKey: await files.readFile(privateKeyFile) }),
      },
      clock,
    )
  } catch (error) {
    const isKnown = error instanceof TokenError || (error as NodeJS.ErrnoException).code
    if (!isKnown) throw error
    throw new ConfigError(`--auth-token: ${(error as Error).message}`, { cause: error })
  }
}
