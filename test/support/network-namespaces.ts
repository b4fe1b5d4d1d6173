// network-namespaces.ts: machines that are no machines: network namespaces of Linux (root and `ip`
// needed), each with a cable to one switch that can be pulled. Nothing of it is in the network of
// the machine itself; programs in it are reached from outside by unix sockets.
//
//     namespace NAME-0 [eth0 10.77.0.1] ──── v0 ┐
//     namespace NAME-1 [eth0 10.77.0.2] ──── v1 ┼ switch, in namespace NAME-hub
//     namespace NAME-2 [eth0 10.77.0.3] ──── v2 ┘
import { execFileSync } from 'node:child_process'

export interface Machines extends Disposable {
  address(at: number): string
  /** What runs a program on that machine, as its arguments. */
  within(at: number): readonly string[]
  pull(at: number): void
  plug(at: number): void
}

const ip = (...words: string[]): void => {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Undefined: they can be made; or why not. */
export function whyNoMachines(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  const name = `probe-${process.pid}`
  try {
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch {
    return 'ip netns add does not work here: root and iproute2 are needed'
  }
}

export function startMachines(count: number): Machines {
  const name = `test-${process.pid}-${++made}`
  const hub = `${name}-hub`
  const spaces = Array.from({ length: count }, (_, at) => `${name}-${at}`)
  const address = (at: number) => `10.77.0.${at + 1}`
  // With a namespace go the ends of cables in it, and with one end the other.
  const remove = () => {
    for (const space of [...spaces, hub]) {
      try {
        ip('netns', 'del', space)
      } catch {
        // It was not made.
      }
    }
  }
  try {
    ip('netns', 'add', hub)
    ip('-n', hub, 'link', 'add', 'switch', 'type', 'bridge')
    ip('-n', hub, 'link', 'set', 'switch', 'up')
    for (const [at, space] of spaces.entries()) {
      ip('netns', 'add', space)
      const peer = ['peer', 'name', 'eth0', 'netns', space]
      ip('-n', hub, 'link', 'add', `v${at}`, 'type', 'veth', ...peer)
      ip('-n', hub, 'link', 'set', `v${at}`, 'master', 'switch', 'up')
      ip('-n', space, 'addr', 'add', `${address(at)}/24`, 'dev', 'eth0')
      ip('-n', space, 'link', 'set', 'lo', 'up')
      ip('-n', space, 'link', 'set', 'eth0', 'up')
    }
  } catch (error) {
    remove()
    throw error
  }
  return {
    address,
    within: (at) => ['ip', 'netns', 'exec', spaces[at] ?? ''],
    pull: (at) => ip('-n', hub, 'link', 'set', `v${at}`, 'down'),
    plug: (at) => ip('-n', hub, 'link', 'set', `v${at}`, 'up'),
    [Symbol.dispose]: remove,
  }
}

let made = 0
