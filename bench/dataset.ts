// dataset.ts: puts many keys into a server before something is measured on them: a hundred keys a
// transaction, a few transactions at a time.
import { connect } from '../src/index.js'

const keysATransaction = 100
const transactionsInFlight = 8

export interface Dataset {
  prefix: string
  count: number
  valueBytes: number
}

export async function fill(port: number, { prefix, count, valueBytes }: Dataset): Promise<void> {
  const connection = await connect({ endpoints: [`127.0.0.1:${port}`] })
  const value = Buffer.alloc(valueBytes, 'v')
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const first = next
      next = Math.min(count, first + keysATransaction)
      const success = Array.from({ length: next - first }, (_, i) => ({
        request_put: { key: Buffer.from(prefix + String(first + i).padStart(9, '0')), value },
      }))
      await connection.kv.txn({ success })
    }
  }
  try {
    await Promise.all(Array.from({ length: transactionsInFlight }, worker))
  } finally {
    await connection.close()
  }
}
