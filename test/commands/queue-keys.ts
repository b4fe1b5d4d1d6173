// queue-keys.ts: who stands in the queue of a lock or an election: the keys below its name.
import { run } from './run.js'

interface Queue {
  name: string
  env: Record<string, string>
}

export async function queueKeys({ name, env }: Queue): Promise<string[]> {
  const words = ['get', `${name}/`, '--prefix', '--keys-only']
  const { stdout } = await run(words, { env, connection: 'real' })
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
}

/** Resolves when so many stand there. */
export async function untilQueued(wanted: number, queue: Queue): Promise<void> {
  while ((await queueKeys(queue)).length !== wanted);
}
