// reply.ts: a short answer over plain HTTP.

/** The text is a message for a machine or a person; what it is says `type`. */
export interface Reply {
  status: number
  body: string
  type?: string
}

export const json = 'application/json'
