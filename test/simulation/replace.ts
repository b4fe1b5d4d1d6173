// replace.ts: puts another method in the place of one of a class, for as long as a simulation runs.

/** @returns what puts the original back */
export function replace<T extends object, Name extends keyof T>(
  prototype: T,
  name: Name,
  make: (original: T[Name]) => T[Name],
): () => void {
  const original = prototype[name]
  prototype[name] = make(original)
  return () => {
    prototype[name] = original
  }
}
