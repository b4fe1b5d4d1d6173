// on-disk.ts: what can be done with snapshot files, for programs: the functions of this folder on
// the files of this machine.
import type { DeepPartial, RangeRequest, RangeResponse } from '../api/gen/rpc.js'
import { systemFiles as files } from '../platform/files.js'
import { snapshotHashKv as hashKv, type SnapshotHashKv } from './hashkv.js'
import type { Progress } from './progress.js'
import { snapshotRange as range } from './range.js'
import {
  type RestoredMember,
  type RestoreOptions,
  restoreSnapshot as restore,
  restoreDefaults,
} from './restore.js'
import {
  type SavedSnapshot,
  type SnapshotBlob,
  type SnapshotTarget,
  saveSnapshot as save,
} from './save.js'
import { type SnapshotStatus, snapshotStatus as status } from './status.js'
import { type SnapshotReport, verifySnapshot as verify } from './verify.js'

export { CorruptionError } from '../storage/errors.js'
export { SnapshotError } from './errors.js'
export type {
  Progress,
  RestoredMember,
  RestoreOptions,
  SavedSnapshot,
  SnapshotBlob,
  SnapshotHashKv,
  SnapshotReport,
  SnapshotStatus,
  SnapshotTarget,
}

/** Stores what `connection.snapshot()` gives; all of it is there at the end, or nothing. */
export const saveSnapshot = (
  blobs: AsyncIterable<SnapshotBlob>,
  target: string | SnapshotTarget,
): Promise<SavedSnapshot> => save(blobs, target, { files })

export const snapshotStatus = (
  file: string,
  options: { progress?: Progress } = {},
): Promise<SnapshotStatus> => status(file, { files, ...options })

export const verifySnapshot = (
  file: string,
  options: { progress?: Progress } = {},
): Promise<SnapshotReport> => verify(file, { files, ...options })

export const snapshotHashKv = (
  file: string,
  options: { revision?: number } = {},
): Promise<SnapshotHashKv> => hashKv(file, { files, ...options })

/** Answers a Range request from a file, at any revision that it keeps. */
export const snapshotRange = (
  file: string,
  request: DeepPartial<RangeRequest>,
): Promise<RangeResponse> => range(file, request, { files })

/** Makes a data directory; options that are not given are those of etcd's tools. */
export const restoreSnapshot = (
  file: string,
  options: Partial<RestoreOptions> & { signal?: AbortSignal } = {},
): Promise<RestoredMember> => {
  const { signal, ...rest } = options
  return restore(file, { ...restoreDefaults, ...rest }, { files, ...(signal ? { signal } : {}) })
}
