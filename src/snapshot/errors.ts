// errors.ts: what goes wrong with snapshot files, in etcd's words. The cause, where there is one,
// is the error of the system call.

/** A snapshot cannot be saved, read or restored; the message is fit to be shown to a person. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

/** Names that Go's programs give to the errors of system calls. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file exists',
  EFBIG: 'file too large',
  EINVAL: 'invalid argument',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
}

/** `open db.part: permission denied`: how etcd's tools show a failed call on `what`. */
export function systemReason(call: string, what: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  // Go looks at the target before it asks the system to rename, and calls a directory so.
  const told = call === 'rename' && code === 'EISDIR' ? 'EEXIST' : code
  const known = typeof told === 'string' ? reasons[told] : undefined
  return `${call} ${what}: ${known ?? (error instanceof Error ? error.message : String(error))}`
}
