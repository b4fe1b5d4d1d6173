// reply.ts: a short answer over plain HTTP.
import type { ServerResponse } from 'node:http'

/** The text is a message for a machine or a person; what it is says `type`. */
export interface Reply {
  status: number
  body: string
  type?: string
  /** The browser is not to guess another type. */
  isNosniff?: boolean
}

export const json = 'application/json'
export const text = 'text/plain; charset=utf-8'

/** An error as Go's servers write it: a line, and no guessing at its type. */
export const textError = (status: number, message: string): Reply => ({
  status,
  body: `${message}\n`,
  type: text,
  isNosniff: true,
})

export function send(response: ServerResponse, { status, body, type, isNosniff }: Reply): void {
  if (type !== undefined) response.setHeader('Content-Type', type)
  if (isNosniff === true) response.setHeader('X-Content-Type-Options', 'nosniff')
  if (status === 405) response.setHeader('Allow', 'GET')
  // Not writeHead(): the length of the body would not be known then.
  response.statusCode = status
  response.end(body)
}
