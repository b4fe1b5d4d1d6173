// tidy.test.ts: the rules of this code base that a machine can check: who may import whom, what
// may be called where, how long things get, what every file and folder must have. Each rule is a
// function from the files to complaints, so that the rules themselves are tested below, on files
// that break them.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { blanked, functionsOf, importsOf, type SourceFile, withoutLiterals } from './tidy.js'

/** Rooms of src/ and what each may import beside itself. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  index: ['api', 'connection', 'platform', 'server', 'snapshot'],
  main: ['commands', 'platform'],
  commands: ['api', 'connection', 'output', 'snapshot'],
  output: ['api'],
  connection: ['api', 'grpc'],
  snapshot: ['api', 'mvcc', 'platform', 'storage'],
  server: ['api', 'auth', 'grpc', 'lease', 'mvcc', 'platform', 'raft', 'storage'],
  raft: ['api'],
  mvcc: ['api', 'storage'],
  lease: ['api', 'storage'],
  auth: ['api', 'storage'],
  storage: ['api', 'platform'],
  grpc: [],
  api: [],
  platform: [],
}

/** Files that may import more than their room, and why. */
const importExceptions: Readonly<Record<string, readonly string[]>> = {
  // The one command that runs a member.
  'src/commands/server.ts': ['server', 'platform'],
  // The flags that it shares with the other command that runs one, for which see below.
  'src/commands/server-flags.ts': ['server'],
  // Runs a member for as long as another program runs.
  'src/commands/run.ts': ['server', 'platform'],
}

/** Files that alone of their room are open to another room. */
const importLimits: readonly { from: string; to: string; only: RegExp }[] = [
  { from: 'snapshot', to: 'mvcc', only: /^src\/mvcc\/(hash|range-order)\.ts$/ },
  { from: 'raft', to: 'api', only: /^src\/api\/gen\/raft\.ts$/ },
]

/** Rooms of src/server/ that others there never import: those stand above them. */
const neverImported: readonly { from: RegExp; to: RegExp; why: string }[] = [
  {
    from: /^src\/server\/(?!library\/)/,
    to: /^src\/server\/library\//,
    why: 'a member stands alone',
  },
  {
    from: /^src\/server\/membership\//,
    to: /^src\/server\/recovery\//,
    why: 'it is the other way',
  },
]

/** Packages, and the room that each is for. */
const packages: Readonly<Record<string, readonly string[]>> = {
  commander: ['commands'],
  etcd3: ['connection'],
  'cli-table3': ['output'],
  yaml: ['commands'],
  chalk: ['output'],
  ora: ['commands'],
  '@bufbuild/protobuf': ['api'],
}

/** Files that may import a package outside its room, because their user has to have it. */
const packageExceptions: Readonly<Record<string, readonly string[]>> = {
  'src/server/library/library.ts': ['etcd3'],
  'src/server/library/client.ts': ['etcd3'],
  'src/server/library/cluster.ts': ['etcd3'],
  'src/server/library/surface.ts': ['etcd3'],
  'src/server/library/vitest.ts': ['vitest'],
}

const isGenerated = ({ name }: SourceFile): boolean => name.startsWith('src/api/gen/')
const isTest = ({ name }: SourceFile): boolean => name.startsWith('test/')
const isSource = ({ name }: SourceFile): boolean => name.startsWith('src/')

/** `src/raft/log.ts` is in raft; `src/main.ts` is a room by itself. */
const roomOf = (name: string): string => (name.split('/')[1] ?? '').replace(/\.ts$/, '')

function imports(file: SourceFile): string[] {
  if (!isSource(file)) return []
  const own = roomOf(file.name)
  const complaints: string[] = []
  for (const { to, isType } of importsOf(file)) {
    const complain = (why: string): void => {
      complaints.push(`${file.name} imports ${to}: ${why}`)
    }
    if (to.startsWith('node:')) {
      if (own === 'raft' && !/^node:assert(\/strict)?$/.test(to))
        complain('raft has no world of its own')
    } else if (!to.startsWith('src/')) {
      const name = to.startsWith('@') ? to.split('/', 2).join('/') : (to.split('/')[0] ?? '')
      const homes = packages[name]
      if (packageExceptions[file.name]?.includes(name)) continue
      if (homes === undefined) complain('a package that this test does not know')
      else if (!homes.includes(own)) complain(`that package is for ${homes.join(', ')}`)
    } else {
      const room = roomOf(to)
      const allowed = [own, ...(rooms[own] ?? []), ...(importExceptions[file.name] ?? [])]
      const isFree = isType && room === 'platform'
      if (!isFree && !allowed.includes(room)) complain(`${own} may not import ${room}`)
      const limit = importLimits.find(({ from, to: other }) => from === own && other === room)
      if (limit !== undefined && !limit.only.test(to)) complain(`only ${limit.only.source}`)
      const never = neverImported.find((one) => one.from.test(file.name) && one.to.test(to))
      if (never !== undefined) complain(never.why)
    }
  }
  return complaints
}

/** Paths that lead back to where they began, each told once. */
function cycles(files: readonly SourceFile[]): string[] {
  const edges = new Map(files.map((file) => [file.name, importsOf(file).map(({ to }) => to)]))
  const complaints: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const visit = (name: string): void => {
    if (state.get(name) === 'done') return
    if (state.get(name) === 'open') {
      complaints.push(`a cycle: ${[...trail.slice(trail.indexOf(name)), name].join(' → ')}`)
      return
    }
    state.set(name, 'open')
    trail.push(name)
    for (const to of edges.get(name) ?? []) if (edges.has(to)) visit(to)
    trail.pop()
    state.set(name, 'done')
  }
  for (const name of edges.keys()) visit(name)
  return complaints
}

interface Ban {
  what: RegExp
  why: string
  /** Where it is allowed, or not looked for. */
  except(file: SourceFile): boolean
}

const isPlatform = ({ name }: SourceFile): boolean =>
  name === 'src/main.ts' || name.startsWith('src/platform/')
const never = (): boolean => false
const notInTests = (file: SourceFile): boolean => !isSource(file) || isPlatform(file)

const bans: readonly Ban[] = [
  {
    what: /\bprocess\.exit\b/,
    why: 'it drops output that is not written yet; only main knows when all is',
    except: (file) => !isSource(file) || file.name === 'src/main.ts',
  },
  { what: /\bconsole\./, why: 'only main writes', except: (file) => !isSource(file) },
  { what: /\bprocess\.(env|argv|std\w+)\b/, why: 'main passes these in', except: notInTests },
  { what: /\bDate\.now\b|\bnew Date\(\)/, why: 'take a Clock', except: notInTests },
  { what: /\bMath\.random\b/, why: 'take a Random', except: isPlatform },
  {
    what: /(?<![.\w])(setTimeout|setInterval)\(/,
    why: 'take a Clock',
    except: notInTests,
  },
  { what: /\bexport default\b/, why: 'exports have names', except: never },
  { what: /(:|\bas|<|\|)\s*any\b/, why: 'say what it is', except: never },
  {
    what: /\bas unknown as\b/,
    why: 'narrow where the value enters',
    // Requests over HTTP/2 have the methods of those of HTTP/1.1 and not their types.
    except: (file) => !isSource(file) || file.name === 'src/grpc/server.ts',
  },
  { what: /[\w)\]]!(?=[.;,)\]}\s]|$)(?!\s*=)/, why: 'no `!`: check, or say why', except: never },
  {
    what: /^\s*(export\s+)?(const\s+)?enum\b/,
    why: 'an object, or a union of literals',
    except: never,
  },
  { what: /^\s*(export\s+)?namespace\b/, why: 'a file is the namespace', except: never },
]

function bannedWords(file: SourceFile): string[] {
  const complaints: string[] = []
  const lines = blanked(file.text).split('\n')
  for (const { what, why, except } of bans) {
    if (except(file)) continue
    lines.forEach((line, at) => {
      const [found] = what.exec(line) ?? []
      if (found !== undefined) complaints.push(`${file.name}:${at + 1}: ${found.trim()}: ${why}`)
    })
  }
  return complaints
}

const lineColumnsMax = 100
const fileLinesMax = 400
const functionLinesMax = 70

/** Longer functions, each with its reason. */
const longFunctions: Readonly<Record<string, string>> = {
  'src/commands/session.ts newSession': 'one closure over all that a run shares',
}

function lengths(file: SourceFile): string[] {
  const complaints: string[] = []
  const lines = file.text.split('\n')
  // In tests an expected text may stand on one line, however long it is.
  const measured = isTest(file) ? withoutLiterals(file.text).split('\n') : lines
  measured.forEach((line, at) => {
    if (line.length > lineColumnsMax) {
      complaints.push(`${file.name}:${at + 1}: ${line.length} columns, over ${lineColumnsMax}`)
    }
  })
  if (!isSource(file)) return complaints
  if (lines.length - 1 > fileLinesMax) {
    complaints.push(`${file.name}: ${lines.length - 1} lines: find its second purpose`)
  }
  for (const { name, line, length } of functionsOf(file)) {
    if (length > functionLinesMax && longFunctions[`${file.name} ${name}`] === undefined) {
      complaints.push(`${file.name}:${line}: ${name} has ${length} lines, over ${functionLinesMax}`)
    }
  }
  return complaints
}

function comments({ name, text }: SourceFile): string[] {
  const complaints: string[] = []
  if (!/^(#!.*\n)?\/\/ /.test(text)) complaints.push(`${name}: say first what the file is for`)
  text.split('\n').forEach((line, at) => {
    const [marker] = /\b(TODO|FIXME|XXX|HACK)\b|@ts-ignore|@ts-expect-error/.exec(line) ?? []
    if (marker !== undefined) complaints.push(`${name}:${at + 1}: ${marker}`)
  })
  return complaints
}

const bannedFolders = /\/(utils?|helpers?|common|shared|types|interfaces|constants|lib|misc)\//

function places(files: readonly SourceFile[]): string[] {
  const complaints: string[] = []
  for (const { name } of files) {
    if (bannedFolders.test(name)) complaints.push(`${name}: a folder is named by its subject`)
    if (/\/index\.ts$/.test(name) && name !== 'src/index.ts') {
      complaints.push(`${name}: there is one index.ts`)
    }
    const room = roomOf(name)
    if (name.startsWith('src/') && !Object.hasOwn(rooms, room)) {
      complaints.push(`${name}: ${room} is no room that this test knows`)
    }
  }
  return complaints
}

/** Rooms without tests of their own, and why. */
const untested: Readonly<Record<string, string>> = {
  'src/api': 'tables; read by the tests of both ends',
  'src/api/gen': 'generated',
  'src/platform': 'the machine itself; its users are tested with others',
}

function mirrors(files: readonly SourceFile[]): string[] {
  const folders = new Set(files.filter(isSource).map(({ name }) => path.posix.dirname(name)))
  const tested = files.filter(({ name }) => name.endsWith('.test.ts')).map(({ name }) => name)
  return [...folders]
    .filter((folder) => untested[folder] === undefined)
    .filter((folder) => {
      const mirror = folder.replace(/^src/, 'test')
      return !tested.some((name) => name.startsWith(`${mirror}/`) || name === `${mirror}.test.ts`)
    })
    .filter((folder) => folder !== 'src')
    .map((folder) => `${folder} has no tests in ${folder.replace(/^src/, 'test')}`)
}

/** `names` are the files of fixtures/, with their folders. */
function origins(names: readonly string[]): string[] {
  const noted = names
    .filter((name) => /\/ORIGIN(\.\w+)?$/.test(name))
    .map((name) => path.posix.dirname(name))
  return [...new Set(names.map((name) => path.posix.dirname(name)))]
    .filter((folder) => !noted.some((one) => folder === one || folder.startsWith(`${one}/`)))
    .map((folder) => `${folder}: no ORIGIN says which program made these files, and how`)
}

const root = path.join(import.meta.dirname, '..')

function filesBelow(folder: string): string[] {
  const at = path.join(root, folder)
  return readdirSync(at, { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesBelow(name) : [name]
  })
}

const sourceFiles: readonly SourceFile[] = ['src', 'test', 'scripts', 'bench', 'bin']
  .filter((folder) => statSync(path.join(root, folder), { throwIfNoEntry: false }) !== undefined)
  .flatMap(filesBelow)
  .filter((name) => /\.(ts|mjs|js)$/.test(name))
  .map((name) => ({ name, text: readFileSync(path.join(root, name), 'utf8') }))

const typescript = sourceFiles.filter((file) => file.name.endsWith('.ts') && !isGenerated(file))
const written = sourceFiles.filter((file) => !isGenerated(file))

describe('the code base', () => {
  test('imports only what its room may import', () => {
    expect(typescript.flatMap(imports)).toEqual([])
  })
  test('has no import cycles', () => {
    expect(cycles(typescript)).toEqual([])
  })
  test('calls nothing outside its place', () => {
    expect(typescript.flatMap(bannedWords)).toEqual([])
  })
  test('keeps lines, functions and files short', () => {
    expect(written.flatMap(lengths)).toEqual([])
  })
  test('says what each file is for, and leaves no notes to itself', () => {
    expect(written.filter(({ name }) => name !== 'test/tidy.test.ts').flatMap(comments)).toEqual([])
  })
  test('names folders by subject', () => {
    expect(places(sourceFiles)).toEqual([])
  })
  test('has tests beside every folder', () => {
    expect(mirrors(sourceFiles)).toEqual([])
  })
  test('knows where fixtures come from', () => {
    expect(origins(filesBelow('fixtures'))).toEqual([])
  })
})

describe('a rule finds what breaks it:', () => {
  const file = (name: string, text: string): SourceFile => ({ name, text })

  test.each([
    ['raft imports a clock', 'src/raft/a.ts', "import { x } from '../platform/clock.js'"],
    ['raft imports a builtin', 'src/raft/a.ts', "import fs from 'node:fs'"],
    ['raft imports other messages', 'src/raft/a.ts', "import { x } from '../api/gen/kv.js'"],
    ['output imports connection', 'src/output/a.ts', "import type { C } from '../connection/c.js'"],
    ['mvcc imports lease', 'src/mvcc/a.ts', "export { x } from '../lease/lessor.js'"],
    ['a late import counts too', 'src/grpc/a.ts', "const x = await import('../api/version.js')"],
    ['a second command imports server', 'src/commands/get.ts', "import '../server/server.js'"],
    ['a member imports the library', 'src/server/a.ts', "import { x } from './library/clock.js'"],
    ['a package in another room', 'src/server/a.ts', "import { KV } from 'etcd3/lib/rpc.js'"],
    ['an unknown package', 'src/server/a.ts', "import left from 'left-pad'"],
  ])('%s', (_what, name, text) => {
    expect(imports(file(name, text))).toHaveLength(1)
  })

  test.each([
    ['a room imports itself', 'src/raft/a.ts', "import { x } from './b.js'"],
    ['types of platform', 'src/mvcc/a.ts', "import type { Clock } from '../platform/clock.js'"],
    ['the messages of raft', 'src/raft/a.ts', "import { x } from '../api/gen/raft.js'"],
    ['the server command', 'src/commands/server.ts', "import '../server/server.js'"],
    ['an import in a comment', 'src/raft/a.ts', "// import fs from 'node:fs'"],
  ])('but not where %s', (_what, name, text) => {
    expect(imports(file(name, text))).toEqual([])
  })

  test('a cycle', () => {
    const ring = [
      file('src/a/a.ts', "import { b } from './b.js'"),
      file('src/a/b.ts', "import type { c } from './c.js'"),
      file('src/a/c.ts', "const a = await import('./a.js')"),
      file('src/a/d.ts', "import { a } from './a.js'"),
    ]
    expect(cycles(ring)).toEqual(['a cycle: src/a/a.ts → src/a/b.ts → src/a/c.ts → src/a/a.ts'])
  })

  test.each([
    'process.exit(1)',
    "console.log('x')",
    'const t = Date.now()',
    'const t = new Date()',
    'const r = Math.random()',
    'setTimeout(f, 1)',
    'const e = process.env.HOME',
    'export default x',
    'let x: any = 1',
    'f(x as any)',
    'const x = y as unknown as Z',
    'const x = map.get(k)!',
    'a!.b()',
    'export enum E {}',
  ])('%s', (line) => {
    expect(bannedWords(file('src/server/a.ts', line))).toHaveLength(1)
  })

  test.each([
    "const text = 'process.exit(1)'",
    '// Math.random() is banned',
    'clock.setTimeout(f)',
    'if (a !== b || !c) f(!d)',
    'const company: Company = many',
    'const x = `a as any`',
    'const x = /console./.test(y)',
  ])('but not in %s', (line) => {
    expect(bannedWords(file('src/server/a.ts', line))).toEqual([])
  })

  test('a timer is fine in its place', () => {
    expect(bannedWords(file('src/platform/clock.ts', 'setTimeout(f, 1)'))).toEqual([])
  })

  test('long lines, functions and files', () => {
    const body = '  f()\n'.repeat(functionLinesMax)
    const long = `// a\nexport async function g(\n  x: string,\n): Promise<void> {\n${body}}\n`
    expect(lengths(file('src/a/a.ts', long))).toEqual([
      `src/a/a.ts:2: g has ${functionLinesMax + 4} lines, over ${functionLinesMax}`,
    ])
    expect(lengths(file('src/a/a.ts', `class A {\n  run(): void {\n${body}  }\n}\n`))).toEqual([
      `src/a/a.ts:2: run has ${functionLinesMax + 2} lines, over ${functionLinesMax}`,
    ])
    expect(lengths(file('src/a/a.ts', `const h = (): void => {\n${body}}\n`))).toHaveLength(1)
    expect(lengths(file('src/a/a.ts', `interface I {\n${body}}\n`))).toEqual([])
    expect(lengths(file('src/a/a.ts', `${'x'.repeat(101)}\n`))).toHaveLength(1)
    expect(lengths(file('src/a/a.ts', '\n'.repeat(401)))).toHaveLength(1)
  })

  test('a file without a purpose, and notes to oneself', () => {
    expect(comments(file('src/a/a.ts', 'export {}\n'))).toHaveLength(1)
    expect(comments(file('src/a/a.ts', '// a.ts: letters.\n// TODO more\n'))).toHaveLength(1)
  })

  test('folders and files in the wrong place', () => {
    const at = (name: string): string[] => places([file(name, '')])
    expect(at('src/server/utils/a.ts')).toHaveLength(1)
    expect(at('src/server/index.ts')).toHaveLength(1)
    expect(at('src/things/a.ts')).toHaveLength(1)
    expect(at('src/server/rpc/kv.ts')).toEqual([])
  })

  test('a folder without tests', () => {
    const files = [file('src/raft/a.ts', ''), file('src/mvcc/a.ts', ''), file('src/main.ts', '')]
    expect(mirrors([...files, file('test/mvcc/a.test.ts', '')])).toEqual([
      'src/raft has no tests in test/raft',
    ])
  })

  test('fixtures from nowhere', () => {
    const names = ['fixtures/a/ORIGIN', 'fixtures/a/deep/x', 'fixtures/b/y']
    expect(origins(names)).toHaveLength(1)
  })
})
