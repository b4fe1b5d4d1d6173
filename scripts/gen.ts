// Generates src/api/gen from proto/. Needs protoc on the PATH. Run by `npm run gen`; the result
// is committed, so that nobody else needs protoc.
//
// Two settings: messages of the public API have etcd3's shape (64-bit fields as decimal strings),
// messages of raft and the log keep 64-bit ids as bigint and, where the field says so, numbers.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')
const outDir = path.join(root, 'src/api/gen')
const internal = new Set(['raft.proto', 'wal.proto'])

const common = [
  'snakeToCamel=false',
  'env=node',
  'esModuleInterop=true',
  'importSuffix=.js',
  'enumsAsLiterals=true',
  'outputServices=false',
  'outputJsonMethods=false',
  'outputIndex=false',
  'unrecognizedEnum=false',
  'useExactTypes=false',
  'noDefaultsForOptionals=false',
]

function generate(files: readonly string[], options: readonly string[]): void {
  execFileSync('protoc', [
    `--plugin=protoc-gen-ts_proto=${path.join(root, 'node_modules/.bin/protoc-gen-ts_proto')}`,
    `--proto_path=${path.join(root, 'proto')}`,
    `--ts_proto_out=${outDir}`,
    `--ts_proto_opt=${[...common, ...options].join(',')}`,
    ...files,
  ])
}

rmSync(outDir, { recursive: true, force: true })
mkdirSync(outDir, { recursive: true })
const all = readdirSync(path.join(root, 'proto')).filter((name) => name.endsWith('.proto'))
generate(
  all.filter((name) => !internal.has(name)),
  ['forceLong=string'],
)
generate(
  all.filter((name) => internal.has(name)),
  ['forceLong=bigint', 'useJsTypeOverride=true'],
)
for (const name of readdirSync(outDir)) {
  const file = path.join(outDir, name)
  writeFileSync(
    file,
    adapted(readFileSync(file, 'utf8'), internal.has(name.replace('.ts', '.proto'))),
  )
}
await import('./gen-schema.js')

/**
 * Three changes to what ts-proto writes. Bytes are views of the input instead of copies, which
 * holds because every caller decodes a Buffer. Absent bytes are one shared empty buffer instead of
 * a new one each. And in raft and wal messages the guards that leave out zero scalars go, because
 * etcd writes those always.
 */
function adapted(source: string, isInternal: boolean): string {
  const views = source
    .replaceAll('Buffer.from(reader.bytes())', 'reader.bytes() as Buffer')
    .replaceAll('Buffer.alloc(0)', 'noBytes')
    .replace(/\nexport const protobufPackage[\s\S]*noBytes/, '\nconst noBytes = Buffer.alloc(0);$&')
  if (!isInternal) return views
  const guard = / {4}if \(message\.\w+ !== (?:0|0n|false|"")\) \{\n((?: {6}.*\n)+?) {4}\}\n/g
  return views.replace(guard, (_, body: string) => body.replace(/^ {2}/gm, ''))
}
