// kept-ports.ts: the ports by which the members of a cluster know each other, kept beside their
// data: members that come back have to find each other where they were.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

const fileOf = (dir: string): string => path.join(dir, 'peer-ports.json')

/** One port a member, in their order; undefined: the directory holds no cluster yet. */
export async function keptPorts(dir: string): Promise<number[] | undefined> {
  const file = fileOf(dir)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const ports: unknown = JSON.parse(text)
  if (Array.isArray(ports) && ports.every((port) => Number.isInteger(port))) return ports
  throw new Error(`${file} holds no ports`)
}

export async function keepPorts(dir: string, ports: readonly number[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(fileOf(dir), JSON.stringify(ports))
}

export function forgetPorts(dir: string): Promise<void> {
  return rm(fileOf(dir), { force: true })
}
