// quorum.ts: what a majority of the voters has reached, or decided.
//
// Everything raft promises rests on one fact: two majorities of the same voters
// share a member. Learners are never passed in here.

export type VoteResult = 'won' | 'lost' | 'pending'

/** The smallest count that is more than half of the voters. */
export const majority = (voterCount: number): number => Math.floor(voterCount / 2) + 1

/** The highest index that a majority has acknowledged; 0 when there are no voters. */
export function committedIndex(voters: readonly bigint[], acked: (id: bigint) => number): number {
  const [only] = voters
  if (only === undefined) return 0
  if (voters.length === 1) return acked(only)
  // In ascending order, the entry at n - majority has majority - 1 others at or above it.
  const ascending = voters.map(acked).sort((a, b) => a - b)
  return ascending[voters.length - majority(voters.length)] ?? 0
}

/** Votes of others than the voters do not count; without voters nothing is ever decided. */
export function voteResult(
  voters: readonly bigint[],
  votes: ReadonlyMap<bigint, boolean>,
): VoteResult {
  let granted = 0
  let refused = 0
  for (const id of voters) {
    const vote = votes.get(id)
    if (vote === true) granted++
    if (vote === false) refused++
  }
  const needed = majority(voters.length)
  if (granted >= needed) return 'won'
  // Lost as soon as those who are left could not make a majority any more.
  return refused > voters.length - needed && voters.length > 0 ? 'lost' : 'pending'
}
