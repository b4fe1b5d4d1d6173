// embedded.ts: the bundled server for a test: one call starts it in this process, on a free port,
// with its data in a temporary directory that goes away with it. When it is closed, what it left
// behind is looked at: the database must be sound, and no file and no timer may be left open.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Clock, systemClock } from '../../src/platform/clock.js'
import { type FileHandle, type Files, systemFiles } from '../../src/platform/files.js'
import { type Log, lineLog } from '../../src/platform/log.js'
import { systemRandom } from '../../src/platform/random.js'
import { type ServerConfig, serverConfig } from '../../src/server/config.js'
import { type Server, startServer } from '../../src/server/server.js'
import { checkDatabase } from '../../src/storage/bbolt/check.js'

export interface EmbeddedOptions {
  /** In memory nothing is kept; on disk, the default, a directory is. */
  storage?: 'disk' | 'memory'
  /** An existing data directory, which stays; else a temporary one. */
  dataDir?: string
  config?: Partial<ServerConfig>
  /** Stands in for the machine's. */
  clock?: Clock
  files?: Files
}

export interface Embedded {
  /** 127.0.0.1:PORT */
  readonly endpoint: string
  readonly port: number
  readonly server: Server
  readonly dataDir: string
  /** member/snap/db */
  readonly dbFile: string
  /** Log lines so far, each one JSON. */
  readonly log: readonly string[]
  /** Stops cleanly and starts again on the same data; the port may be another. */
  restart(): Promise<void>
  /** Stops cleanly and checks what is left; the directory stays until the end of the block. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  const isTemporary = options.dataDir === undefined && options.storage !== 'memory'
  const parent = isTemporary ? await mkdtemp(path.join(tmpdir(), 'embedded-')) : undefined
  const dataDir = options.dataDir ?? path.join(parent ?? '/nowhere', 'data')
  const dbFile = path.join(dataDir, 'member/snap/db')
  const log: string[] = []
  const watched = watchedPlatform(
    options,
    lineLog('debug', (line) => log.push(line), systemClock.wall),
  )
  const config = serverConfig({
    listenClientUrls: ['http://127.0.0.1:0'],
    listenPeerUrls: [],
    ...options.config,
    dataDir: options.storage === 'memory' ? undefined : dataDir,
  })
  let server: Server | undefined

  async function stop(): Promise<void> {
    const stopping = server
    server = undefined
    if (stopping === undefined) return
    await stopping.close()
    watched.checkNothingOpen()
    if (options.storage === 'memory') return
    const { findings } = await checkDatabase(dbFile, { files: watched.platform.files })
    if (findings.length > 0) throw new Error(`${dbFile} is damaged: ${findings.join('\n')}`)
  }
  async function start(): Promise<void> {
    server = await startServer(config, watched.platform)
  }
  const running = (): Server => {
    if (server === undefined) throw new Error('the embedded server is stopped')
    return server
  }
  const remove = async (): Promise<void> => {
    if (parent !== undefined) await rm(parent, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await remove()
    throw error
  }
  return {
    get endpoint() {
      return running().endpoints[0]?.replace(/^http:\/\//, '') ?? ''
    },
    get port() {
      return Number(running().endpoints[0]?.split(':').at(-1))
    },
    get server() {
      return running()
    },
    dataDir,
    dbFile,
    log,
    async restart() {
      await stop()
      await start()
    },
    stop,
    async [Symbol.asyncDispose]() {
      try {
        await stop()
      } finally {
        await remove()
      }
    },
  }
}

/** A platform that knows which files are open and which timers tick. */
function watchedPlatform({ clock = systemClock, files = systemFiles }: EmbeddedOptions, log: Log) {
  const openFiles = new Map<FileHandle, string>()
  let tickerCount = 0
  const open: Files['open'] = async (file, mode) => {
    const handle = await files.open(file, mode)
    const close = () => {
      openFiles.delete(handle)
      return handle.close()
    }
    openFiles.set(handle, file)
    return instead(handle, { close })
  }
  const every: Clock['every'] = (intervalMs, callback) => {
    const timer = clock.every(intervalMs, callback)
    let isTicking = true
    tickerCount++
    return {
      cancel() {
        if (isTicking) tickerCount--
        isTicking = false
        timer.cancel()
      },
    }
  }
  return {
    platform: {
      files: instead(files, { open }),
      clock: instead(clock, { every }),
      random: systemRandom,
      log,
    },
    checkNothingOpen() {
      if (openFiles.size > 0) throw new Error(`left open: ${[...openFiles.values()].join(', ')}`)
      if (tickerCount > 0) throw new Error(`${tickerCount} timers go on ticking`)
    },
  }
}

/** The same thing with some of its methods replaced. */
function instead<T extends object>(original: T, replaced: Partial<T>): T {
  return new Proxy(original, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name)
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
