// parts.ts: what is measured, one function a part. Both sides of a comparison take turns inside
// one run, so that what else the machine does meets both. Client tools are compared on the bundled
// server: the same data, the same server, one tool after the other.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { promisify } from 'node:util'
import { fill } from './dataset.js'
import { compared, median, type Print } from './figures.js'
import type { LoadKind, LoadResult } from './load.js'
import {
  bareNode,
  clientEnv,
  cpuSeconds,
  etcdctl,
  measured,
  type Program,
  runMaxMs,
  start,
  tsctl,
} from './processes.js'
import { bundledServer, etcd, type MeasuredServer, startServer } from './servers.js'

export interface Bench {
  /** Whether etcd and etcdctl are there; parts that compare with nothing else are left out. */
  hasEtcd: boolean
  /** A directory for files that goes away at the end. */
  dir: string
  /** The bundled server that client tools are measured on. */
  server: MeasuredServer
  /** Puts the large data set into it, once. */
  needLargeKeys(): Promise<void>
  print: Print
}

const run = promisify(execFile)

/** One key, the whole process: what a person waits for at a prompt. */
export async function coldGet({ server, hasEtcd, print }: Bench): Promise<void> {
  const env = clientEnv(server.port)
  const programs = [tsctl, bareNode, ...(hasEtcd ? [etcdctl] : [])]
  const walls = new Map(programs.map((program) => [program.name, [] as number[]]))
  for (let i = 0; i < 25; i++) {
    for (const program of programs) {
      const args = program === bareNode ? [] : ['get', 'bench/first']
      walls.get(program.name)?.push((await measured(program, args, { env })).wallMs)
    }
  }
  const samples = (program: Program) => ({
    name: program.name,
    samples: walls.get(program.name) ?? [],
  })
  const settings = { digits: 1, unit: 'ms' }
  const goal = { atMost: 1.9 }
  print(compared('get of one key', samples(tsctl), samples(bareNode), { ...settings, goal }))
  if (hasEtcd) print(compared('get of one key', samples(tsctl), samples(etcdctl), settings))
}

const loadSeconds = 2
const loadRounds = 3
const inFlight = 128
const connections = 8

/** Answers a second with 128 calls in flight, and what they cost. Writes are synced on both. */
export async function serverLoad({ print }: Bench): Promise<void> {
  await using ours = await startServer(bundledServer)
  await using theirs = await startServer(etcd)
  for (const kind of ['put', 'range', 'txn'] as const) {
    const rounds: { ours: Loaded; theirs: Loaded }[] = []
    for (const server of [ours, theirs]) await load(server, kind) // warms both up
    for (let i = 0; i < loadRounds; i++) {
      rounds.push({ ours: await load(ours, kind), theirs: await load(theirs, kind) })
    }
    const sides = (figure: (loaded: Loaded) => number) =>
      [
        { name: 'tsctl', samples: rounds.map((round) => figure(round.ours)) },
        { name: 'etcd', samples: rounds.map((round) => figure(round.theirs)) },
      ] as const
    const rate = { digits: 0, unit: '/s', goal: { atLeast: 1 } }
    const time = { digits: 2, unit: 'ms' }
    print(compared(`${kind}, ${inFlight} in flight`, ...sides(({ rate }) => rate), rate))
    print(compared(`${kind} latency, median`, ...sides(({ p50Ms }) => p50Ms), time))
    print(compared(`${kind} latency, 99 of 100`, ...sides(({ p99Ms }) => p99Ms), time))
    const cost = { digits: 1, unit: 'us' }
    print(compared(`${kind} processor time of the server`, ...sides(({ costUs }) => costUs), cost))
    const share = median(rounds.flatMap(({ ours, theirs }) => [ours.share, theirs.share]))
    print(`  (the load generator itself was busy ${(share * 100).toFixed(0)} % of the time)`)
  }
}

interface Loaded extends LoadResult {
  rate: number
  /** Processor time of the server a call, in microseconds. */
  costUs: number
  /** Part of the time that the generator was busy. */
  share: number
}

async function load({ port, pid }: MeasuredServer, kind: LoadKind): Promise<Loaded> {
  const generator = path.join(import.meta.dirname, 'load.ts')
  const settings = [port, kind, loadSeconds, inFlight, connections].map(String)
  const before = cpuSeconds(pid)
  const { stdout } = await run(process.execPath, ['--import', 'tsx', generator, ...settings])
  const result = JSON.parse(stdout) as LoadResult
  return {
    ...result,
    rate: result.calls / result.seconds,
    costUs: ((cpuSeconds(pid) - before) * 1e6) / result.calls,
    share: result.cpuSeconds / result.seconds,
  }
}

/** From the spawn of a server with an empty directory to its answer to a put. */
export async function serverStart({ print }: Bench): Promise<void> {
  const ours: number[] = []
  const theirs: number[] = []
  for (let i = 0; i < 5; i++) {
    {
      await using server = await startServer(bundledServer)
      ours.push(server.startMs)
    }
    await using server = await startServer(etcd)
    theirs.push(server.startMs)
  }
  const settings = { digits: 0, unit: 'ms', goal: { atMost: 0.2 } }
  const sides = [
    { name: 'tsctl', samples: ours },
    { name: 'etcd', samples: theirs },
  ] as const
  print(compared('server start to first answered put', ...sides, settings))
}

/** 300,000 keys with values of 200 bytes. */
export const largeKeys = { prefix: 'bench/large/', count: 300_000, valueBytes: 200 }

/** All of them to a file: time and memory. */
export async function largeGet({ server, dir, needLargeKeys, print }: Bench): Promise<void> {
  await needLargeKeys()
  await sideBySide('get of 300,000 keys to a file', print, {
    goals: { wall: 0.7, peak: 0.4 },
    measure: (program) => {
      const file = path.join(dir, `${program.name}.txt`)
      const words = ['get', '--prefix', largeKeys.prefix]
      return measured(program, words, { env: clientEnv(server.port), file })
    },
  })
}

/** The whole database to a file, some 200 MB. */
export async function snapshotSave({ server, dir, needLargeKeys, print }: Bench): Promise<void> {
  await needLargeKeys()
  await fill(server.port, { prefix: 'bench/thick/', count: 24_000, valueBytes: 5_000 })
  await sideBySide('snapshot save of 200 MB', print, {
    goals: { wall: 1, peak: undefined },
    measure: (program) => {
      const words = ['snapshot', 'save', path.join(dir, `${program.name}.db`)]
      return measured(program, words, { env: clientEnv(server.port) })
    },
  })
}

/** Three runs of each tool by turns. */
export async function sideBySide(
  what: string,
  print: Print,
  {
    goals,
    measure,
  }: {
    goals: { wall: number; peak: number | undefined }
    measure(program: Program): ReturnType<typeof measured>
  },
): Promise<void> {
  const ours = { walls: [] as number[], peaks: [] as number[] }
  const theirs = { walls: [] as number[], peaks: [] as number[] }
  for (let i = 0; i < 3; i++) {
    for (const [side, program] of [[ours, tsctl] as const, [theirs, etcdctl] as const]) {
      const { wallMs, peakBytes } = await measure(program)
      side.walls.push(wallMs)
      side.peaks.push(peakBytes / 2 ** 20)
    }
  }
  const sides = (of: 'walls' | 'peaks') =>
    [
      { name: 'tsctl', samples: ours[of] },
      { name: 'etcdctl', samples: theirs[of] },
    ] as const
  const wall = { digits: 0, unit: 'ms', goal: { atMost: goals.wall } }
  print(compared(what, ...sides('walls'), wall))
  const goal = goals.peak === undefined ? {} : { goal: { atMost: goals.peak } }
  print(compared(`${what}: peak memory`, ...sides('peaks'), { digits: 0, unit: 'MiB', ...goal }))
}

const watchedEvents = 200_000
/** PUT, key, value. */
const linesAnEvent = 3

/** Events of the past through a pipe: from the spawn to the last line. */
export async function watchEvents({ server, needLargeKeys, print }: Bench): Promise<void> {
  await needLargeKeys()
  const env = clientEnv(server.port)
  const ours: number[] = []
  const theirs: number[] = []
  for (let i = 0; i < 3; i++) {
    ours.push(await watched(tsctl, env))
    theirs.push(await watched(etcdctl, env))
  }
  const sides = [
    { name: 'tsctl', samples: ours },
    { name: 'etcdctl', samples: theirs },
  ] as const
  const settings = { digits: 0, unit: 'ms', goal: { atMost: 0.8 } }
  print(compared('watch of 200,000 events to a pipe', ...sides, settings))
}

async function watched(program: Program, env: NodeJS.ProcessEnv): Promise<number> {
  const started = performance.now()
  const words = ['watch', '--prefix', largeKeys.prefix, '--rev=1']
  const child = start(program, words, { env, stdout: 'pipe' })
  const ended = once(child, 'exit')
  const limit = setTimeout(() => child.kill('SIGKILL'), runMaxMs)
  let lines = 0
  for await (const piece of child.stdout ?? []) {
    lines += lineCount(piece as Buffer)
    if (lines >= watchedEvents * linesAnEvent) break
  }
  const wallMs = performance.now() - started
  clearTimeout(limit)
  child.kill('SIGKILL')
  await ended
  if (lines < watchedEvents * linesAnEvent) throw new Error(`${program.name} watch ended early`)
  return wallMs
}

function lineCount(piece: Buffer): number {
  let count = 0
  for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) count++
  return count
}

const puts = 10_000
const etcdctlRuns = 200

/** Many puts by one program that holds a connection, against a process for each. */
export async function manyPuts({ server, print }: Bench): Promise<void> {
  const env = clientEnv(server.port)
  const program = {
    name: 'tsctl',
    words: [process.execPath, path.join(import.meta.dirname, 'puts.mjs')],
  }
  const ours = [await measured(program, [String(puts)], { env })]
  const started = performance.now()
  for (let i = 0; i < etcdctlRuns; i++)
    await measured(etcdctl, ['put', `bench/run/${i}`, 'v'], { env })
  const theirs = ((performance.now() - started) * puts) / etcdctlRuns
  print({
    what: '10,000 puts: one process, one a process',
    ours: { name: 'tsctl', text: `${((ours[0]?.wallMs ?? 0) / 1000).toFixed(2)} s` },
    theirs: {
      name: 'etcdctl',
      text: `${(theirs / 1000).toFixed(0)} s (scaled from ${etcdctlRuns} runs)`,
    },
    ratio: (ours[0]?.wallMs ?? 0) / theirs,
    goal: { atMost: 1 / 50 },
  })
}
