// surface.ts: what a program says of the server that it wants, and what it gets.
import type { Etcd3, IOptions } from 'etcd3'
import type { ServerTls } from '../../grpc/server.js'
import type { Clock } from '../../platform/clock.js'
import type { LogLevel } from '../../platform/log.js'
import type { ServerConfig } from '../config.js'
import type { Faults } from './faults.js'

export interface StartOptions {
  /** Default: 0, a free one. */
  port?: number
  /** Address to listen on. Default: 127.0.0.1. */
  host?: string
  /** Default: in memory. A directory stays when the server stops, and is etcd's own. */
  storage?: 'memory' | { dir: string }
  /** True: with a certificate of its own, which `ca` then holds. Else PEM texts. */
  tls?: boolean | ServerTls
  /** Turns authentication on, with the user root. */
  auth?: { rootPassword: string }
  limits?: {
    /** Largest write. */
    requestBytes?: number
    txnOps?: number
    /** Size of the database that raises the NOSPACE alarm. */
    quotaBytes?: number
  }
  /** What time is, before it is put forward. Default: the machine's. */
  clock?: Clock
  /** Where log lines go, from this level on. Default: nowhere. */
  log?: { level: LogLevel; write(line: string): void }
  /** In a thread of its own, for tests that block the event loop. Default: in this one. */
  thread?: boolean
  /** Other settings, by the names of etcd's flags in camel case. */
  config?: Partial<ServerConfig>
}

export interface RunningServer {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string
  /** The same, as etcd3 and others call it. */
  readonly hosts: string
  readonly port: number
  /** Until stop() is called. */
  readonly isRunning: boolean
  /** The certificate to trust, when the server made its own. */
  readonly ca: string | undefined
  /** Variables for a program that is started with this server: tsctl, etcdctl, an application. */
  env(): Record<string, string>
  /** A client of the package etcd3, which has to be installed; it is closed with the server. */
  client(options?: Partial<IOptions>): Promise<Etcd3>
  /** Empties the store, ends watches, and takes faults back. In memory: revision 1 again. */
  reset(): Promise<void>
  readonly clock: {
    now(): number
    /** Puts the server's time forward; resolves when leases that ran out by it are gone. */
    advance(duration: number | string): Promise<void>
  }
  readonly faults: Faults
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
