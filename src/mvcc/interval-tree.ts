// interval-tree.ts: which intervals [start, end) hold a key, when there are many of them. A treap:
// a search tree by (start, end) that is a heap by priority, where the priority is a hash of the
// interval, so that the shape is balanced without chance and the same everywhere. Each node knows
// the greatest end below it, which is what lets a search skip a subtree that ends too early.
//
//               [c, f) max z
//              /            \
//     [a, b) max b        [d, z) max z         what holds "g"? [a, b) is never looked at

interface Node<T> {
  readonly start: string
  readonly end: string
  readonly priority: number
  readonly items: Set<T>
  left: Node<T> | undefined
  right: Node<T> | undefined
  /** Greatest end in this subtree. */
  maxEnd: string
}

export class IntervalTree<T> {
  #root: Node<T> | undefined

  add(start: string, end: string, item: T): void {
    const found = find(this.#root, start, end)
    if (found !== undefined) found.items.add(item)
    else this.#root = insert(this.#root, newNode(start, end, item))
  }

  delete(start: string, end: string, item: T): void {
    const found = find(this.#root, start, end)
    if (found === undefined) return
    found.items.delete(item)
    if (found.items.size === 0) this.#root = remove(this.#root, start, end)
  }

  /** Visits the items of every interval that holds the key. */
  visit(key: string, visit: (item: T) => void): void {
    visitNode(this.#root, key, visit)
  }
}

function newNode<T>(start: string, end: string, item: T): Node<T> {
  const priority = hash(end, hash(start, 0x811c9dc5))
  const items = new Set([item])
  return { start, end, priority, items, left: undefined, right: undefined, maxEnd: end }
}

/** FNV-1a over the characters, with a last mix so that similar keys differ in the high bits too. */
function hash(text: string, basis: number): number {
  let sum = basis
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193)
  sum = Math.imul(sum ^ (sum >>> 15), 0x2c1b3c6d)
  return (sum ^ (sum >>> 13)) >>> 0
}

const isBefore = (node: { start: string; end: string }, start: string, end: string): boolean =>
  node.start < start || (node.start === start && node.end < end)

function find<T>(root: Node<T> | undefined, start: string, end: string): Node<T> | undefined {
  let node = root
  while (node !== undefined && (node.start !== start || node.end !== end)) {
    node = isBefore(node, start, end) ? node.right : node.left
  }
  return node
}

function measure<T>(node: Node<T>): Node<T> {
  let { end } = node
  if (node.left !== undefined && node.left.maxEnd > end) end = node.left.maxEnd
  if (node.right !== undefined && node.right.maxEnd > end) end = node.right.maxEnd
  node.maxEnd = end
  return node
}

function insert<T>(node: Node<T> | undefined, added: Node<T>): Node<T> {
  if (node === undefined) return added
  if (isBefore(node, added.start, added.end)) {
    node.right = insert(node.right, added)
    return measure(node.right.priority > node.priority ? rotateLeft(node, node.right) : node)
  }
  node.left = insert(node.left, added)
  return measure(node.left.priority > node.priority ? rotateRight(node, node.left) : node)
}

function rotateLeft<T>(node: Node<T>, right: Node<T>): Node<T> {
  node.right = right.left
  right.left = measure(node)
  return right
}

function rotateRight<T>(node: Node<T>, left: Node<T>): Node<T> {
  node.left = left.right
  left.right = measure(node)
  return left
}

function remove<T>(node: Node<T> | undefined, start: string, end: string): Node<T> | undefined {
  if (node === undefined) return undefined
  if (node.start === start && node.end === end) return merged(node.left, node.right)
  if (isBefore(node, start, end)) node.right = remove(node.right, start, end)
  else node.left = remove(node.left, start, end)
  return measure(node)
}

/** One tree out of two, all of `left` being before all of `right`. */
function merged<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined || right === undefined) return left ?? right
  if (left.priority > right.priority) {
    left.right = merged(left.right, right)
    return measure(left)
  }
  right.left = merged(left, right.left)
  return measure(right)
}

function visitNode<T>(node: Node<T> | undefined, key: string, visit: (item: T) => void): void {
  if (node === undefined || node.maxEnd <= key) return
  visitNode(node.left, key, visit)
  if (node.start > key) return
  if (key < node.end) for (const item of node.items) visit(item)
  visitNode(node.right, key, visit)
}
