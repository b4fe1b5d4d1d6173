// replace.ts: puts other methods in the place of those that are there: of a class, for as long as a
// simulation runs, or of one object.

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

/** Does as the object does, but for these methods. */
export function wrapped<T extends object>(object: T, others: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      const found: unknown = Reflect.get(name in others ? others : target, name)
      // A method of the object itself may reach for its private fields.
      return typeof found === 'function' && !(name in others) ? found.bind(target) : found
    },
  })
}
