// puts.mjs: as many puts as its argument says, over one connection of the built library. Plain
// JavaScript: its start is part of what is measured.
import { connect } from '../dist/index.js'

const inFlight = 128
const count = Number(process.argv[2])
const connection = await connect({ endpoints: [process.env.ETCDCTL_ENDPOINTS] })
let next = 0
async function worker() {
  while (next < count) {
    await connection.kv.put({ key: Buffer.from(`bench/put/${next++}`), value: Buffer.from('v') })
  }
}
await Promise.all(Array.from({ length: inFlight }, worker))
await connection.close()
