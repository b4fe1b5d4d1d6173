// title.ts: what other users of the machine see of a command line in the list of processes. etcdctl
// shows passwords there as they were typed; here a line that may hold one shows its command alone,
// as soon as the program runs. Before that, while Node starts, nothing can be done about it: a
// prompt or a variable keeps a password out of the list altogether.
const secretFlags = [
  ...['--user', '--password', '--auth-jwt-token', '--new-user-password'],
  ...['--dest-user', '--dest-password'],
]

/** Undefined: there is nothing to hide. */
export function titleWithoutSecrets(words: readonly string[]): string | undefined {
  // `user add name:password`, with the first word shortened or not.
  const isAboutUsers = words.some((word) => word.startsWith('us'))
  if (!isAboutUsers && !words.some(isSecretFlag)) return undefined
  return 'tsctl (arguments hidden)'
}

const isSecretFlag = (word: string): boolean =>
  word.startsWith('--') && secretFlags.includes(word.split('=', 1)[0] ?? '')
