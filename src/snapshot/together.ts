// together.ts: two passes over one file at the same time. When one fails the other is waited for,
// so that nothing goes on behind the back of whoever started them.
export async function together<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other])
  return [await one, await other]
}
