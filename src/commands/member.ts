// member list|add|remove|update|promote: who is in the cluster, and changes of that.
import type { Command } from 'commander'
import {
  type CommandContext,
  defineCommand,
  defineGroup,
  parseMemberId,
  UsageError,
} from './context.js'

interface ListFlags {
  consistency: string
}

export interface ListOptions {
  linearizable: boolean
}

export function memberListOptions({ consistency }: ListFlags): ListOptions {
  if (consistency === 'l') return { linearizable: true }
  if (consistency === 's') return { linearizable: false }
  throw new UsageError(`unknown consistency flag "${consistency}"`, 4)
}

export async function runMemberList(ctx: CommandContext, options: ListOptions): Promise<void> {
  const budget = ctx.commandBudget()
  const { cluster } = await ctx.connect()
  const response = await cluster.memberList(options, budget())
  await ctx.print({ kind: 'memberList', response })
}

interface PeerUrlFlags {
  peerUrls: string
}

interface AddFlags extends PeerUrlFlags {
  learner: boolean
}

export interface AddOptions {
  name: string
  /** As typed. */
  peerUrls: string
  peerUrlList: readonly string[]
  isLearner: boolean
}

export function memberAddOptions(flags: AddFlags, args: readonly string[]): AddOptions {
  const [name, ...rest] = args
  if (name === undefined) throw new UsageError('member name not provided')
  if (rest.length > 0) {
    const urls = args.filter((word) => word.toLowerCase().startsWith('http'))
    const hints = urls.map((url) => `, did you mean --peer-urls=${url}`)
    throw new UsageError(`too many arguments${hints.join('')}`)
  }
  return { name, peerUrls: flags.peerUrls, peerUrlList: urlList(flags), isLearner: flags.learner }
}

function urlList({ peerUrls }: PeerUrlFlags): readonly string[] {
  if (peerUrls === '') throw new UsageError('member peer urls not provided')
  const urls = peerUrls.split(',')
  for (const url of urls) checkPeerUrl(url)
  return urls
}

/** What a member could never listen at is refused here, before the cluster takes it in. */
function checkPeerUrl(text: string): void {
  const url = text.trim()
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url) ?? []
  if (/^unixs?$/i.test(scheme)) return
  if (!/^https?$/i.test(scheme)) {
    throw new UsageError(`URL scheme must be http, https, unix, or unixs: ${url}`, 1)
  }
  const [address = ''] = rest.split('/', 1)
  if (!/^(\[[^\]]*\]|[^:]*):[^:]*$/.test(address)) {
    throw new UsageError(`URL address does not have the form "host:port": ${url}`, 1)
  }
  if (rest.includes('/')) throw new UsageError(`URL must not contain a path: ${url}`, 1)
}

export async function runMemberAdd(ctx: CommandContext, options: AddOptions): Promise<void> {
  const { name, peerUrls, peerUrlList, isLearner } = options
  const budget = ctx.commandBudget()
  const { cluster } = await ctx.connect()
  const response = await cluster.memberAdd({ peerURLs: [...peerUrlList], isLearner }, budget())
  await ctx.print({ kind: 'memberAdd', response, name, peerUrls })
}

export interface MemberOptions {
  /** Decimal, as in the messages. */
  memberId: string
}

export function memberOptions(_flags: unknown, args: readonly string[]): MemberOptions {
  const [text, ...rest] = args
  if (text === undefined || rest.length > 0) throw new UsageError('member ID is not provided')
  return { memberId: String(parseMemberId(text)) }
}

export async function runMemberRemove(
  ctx: CommandContext,
  { memberId }: MemberOptions,
): Promise<void> {
  const budget = ctx.commandBudget()
  const { cluster } = await ctx.connect()
  const response = await cluster.memberRemove({ ID: memberId }, budget())
  await ctx.print({ kind: 'memberRemove', response, memberId })
}

export interface UpdateOptions extends MemberOptions {
  peerUrlList: readonly string[]
}

export function memberUpdateOptions(flags: PeerUrlFlags, args: readonly string[]): UpdateOptions {
  return { ...memberOptions(flags, args), peerUrlList: urlList(flags) }
}

export async function runMemberUpdate(ctx: CommandContext, options: UpdateOptions): Promise<void> {
  const { memberId, peerUrlList } = options
  const budget = ctx.commandBudget()
  const { cluster } = await ctx.connect()
  const request = { ID: memberId, peerURLs: [...peerUrlList] }
  const response = await cluster.memberUpdate(request, budget())
  await ctx.print({ kind: 'memberUpdate', response, memberId })
}

export async function runMemberPromote(
  ctx: CommandContext,
  { memberId }: MemberOptions,
): Promise<void> {
  const budget = ctx.commandBudget()
  const { cluster } = await ctx.connect()
  const response = await cluster.memberPromote({ ID: memberId }, budget())
  await ctx.print({ kind: 'memberPromote', response, memberId })
}

const withPeerUrls = (command: Command): Command =>
  command.option('--peer-urls <string>', 'peer URLs of the member, separated by commas', '')

export const memberCommand = defineGroup({
  add: {
    summary: 'Takes a new member into the cluster',
    command: defineCommand({
      words: (command) =>
        withPeerUrls(command.argument('<memberName>')).option(
          '--learner',
          'as a learner, which has no vote until it is promoted',
          false,
        ),
      options: memberAddOptions,
      run: runMemberAdd,
    }),
  },
  list: {
    summary: 'Prints the members of the cluster',
    command: defineCommand({
      words: (command) =>
        command.option('--consistency <string>', 'l: linearizable, s: serializable', 'l'),
      options: memberListOptions,
      run: runMemberList,
    }),
  },
  promote: {
    summary: 'Gives a learner a vote',
    command: defineCommand({
      words: (command) => command.argument('<memberID>'),
      options: memberOptions,
      run: runMemberPromote,
    }),
  },
  remove: {
    summary: 'Takes a member out of the cluster',
    command: defineCommand({
      words: (command) => command.argument('<memberID>'),
      options: memberOptions,
      run: runMemberRemove,
    }),
  },
  update: {
    summary: 'Gives a member other peer URLs',
    command: defineCommand({
      words: (command) => withPeerUrls(command.argument('<memberID>')),
      options: memberUpdateOptions,
      run: runMemberUpdate,
    }),
  },
})
