/**
 * What a user gets: packs every public package, installs the packed files into a fresh project outside the workspace,
 * compiles a strict program there with the newest and the oldest supported TypeScript (library types checked too), and
 * runs it. The last line is `pack: N passed, N failed`.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { npm, pnpm, root } from './bootstrap.mjs'

const PACKAGES = ['cluster', 'tracker', 'actor', 'skep', 'testkit']
const { typescript, 'typescript-5.8': oldest } = readJson(join(root, 'package.json')).devDependencies
const COMPILERS = { ts7: typescript, ts58: oldest.replace('npm:typescript@', '') }
/** Packages whose types users must never need. */
const PRIVATE = ['ws', 'msgpackr', 'hashring']
const RUN_TIMEOUT_MS = 60_000

let passed = 0
let failed = 0
const dir = mkdtempSync(join(tmpdir(), 'skep-pack-'))
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

/** @type {Record<string, string>} */
const tarballs = {}
for (const name of PACKAGES) {
  check(`pack ${name}`, () => {
    const folder = join(root, 'packages', name)
    const before = new Set(readdirSync(dir))
    pnpm(['pack', '--pack-destination', dir], folder)
    const file = readdirSync(dir).find((entry) => entry.endsWith('.tgz') && !before.has(entry))
    if (!file) throw new Error('no tarball was made')
    tarballs[readJson(join(folder, 'package.json')).name] = `file:./${file}`
  })
}

check('install the packed files with npm', () => {
  cpSync(join(root, 'scripts/consumer'), dir, { recursive: true })
  for (const { file, code } of readmePrograms()) writeFileSync(join(dir, file), code)
  const aliases = Object.entries(COMPILERS).map(([alias, version]) => [alias, `npm:typescript@${version}`])
  const { version } = readJson(join(root, 'node_modules/@types/node/package.json'))
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({
      private: true,
      type: 'module',
      dependencies: tarballs,
      devDependencies: { ...Object.fromEntries(aliases), '@types/node': version },
    }),
  )
  npm(['install', '--no-audit', '--no-fund'], dir)
})

for (const name of Object.keys(tarballs)) check(`contents of ${name}`, () => contents(join(dir, 'node_modules', name)))

for (const [alias, version] of Object.entries(COMPILERS)) {
  check(`compile with TypeScript ${version}`, () => {
    node([join(dir, 'node_modules', alias, 'bin/tsc'), '-p', '.', '--outDir', alias])
  })
  check(`run what TypeScript ${version} made`, () => {
    const said = node([join(alias, 'program.js')])
    if (!said.includes('42 and 3 ticks')) throw new Error(`it said: ${said}`)
  })
}
check('run the program of the README', () => void node([join('ts7', 'readme.js')]))

console.log(`pack: ${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

/**
 * The TypeScript that the README shows: a block that begins with a comment of its file's name, and the program.
 * @returns {{ file: string, code: string }[]}
 */
function readmePrograms() {
  const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)]
  if (blocks.length < 2) throw new Error('the README shows no program')
  return blocks.map(([, code = '']) => ({ file: /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1] ?? 'readme.ts', code }))
}

/**
 * A package holds all that its `exports` name, its licence, and nothing that only its authors need.
 * @param {string} folder where it is installed
 */
function contents(folder) {
  const manifest = readJson(join(folder, 'package.json'))
  const text = JSON.stringify(manifest)
  const faults = ['workspace:', '@skep/source']
    .filter((word) => text.includes(word))
    .map((word) => `manifest has ${word}`)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((file) => !file.startsWith('node_modules'))
  for (const [path, targets] of Object.entries(manifest.exports)) {
    for (const target of Object.values(targets)) {
      if (!files.includes(join(target))) faults.push(`'${path}' names ${target}, which is not there`)
    }
  }
  for (const entry of Object.values(manifest.exports)) faults.push(...foreignTypes(join(folder, entry.types)))
  if (!files.includes('LICENSE')) faults.push('there is no LICENSE')
  for (const file of files) {
    if (!/^(?:package\.json|LICENSE|README\.md|dist\/[\w./-]+\.(?:js|d\.ts))$/.test(file) || /\btests?\b/.test(file)) {
      faults.push(`${file} does not belong here`)
    }
  }
  if (faults.length > 0) throw new Error(faults.join('\n'))
}

/**
 * Where public types lead to those of a package that is our own business.
 * @param {string} declarations
 * @param {Set<string>} seen
 * @returns {string[]}
 */
function foreignTypes(declarations, seen = new Set()) {
  if (seen.has(declarations) || !existsSync(declarations)) return []
  seen.add(declarations)
  const imports = [...readFileSync(declarations, 'utf8').matchAll(/\b(?:from|import\(?)\s*['"]([^'"]+)['"]/g)]
  return imports.flatMap(([, name = '']) => {
    if (PRIVATE.includes(name)) return [`${declarations.slice(dir.length + 1)} names types of ${name}`]
    if (!name.startsWith('.')) return []
    return foreignTypes(join(declarations, '..', name.replace(/\.js$/, '.d.ts')), seen)
  })
}

/**
 * @param {string} name
 * @param {() => void} work
 */
function check(name, work) {
  try {
    work()
    passed++
    console.log(`ok      ${name}`)
  } catch (error) {
    failed++
    console.log(`FAILED  ${name}\n${/** @type {Error} */ (error).message.trimEnd().replaceAll(/^/gm, '        ')}`)
  }
}

/** @param {string[]} argv */
function node(argv) {
  const { status, signal, error, stdout, stderr } = spawnSync(process.execPath, argv, {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: RUN_TIMEOUT_MS,
    // Nodes of one cluster on one machine find each other by a folder in it: another run's must not be met.
    env: { ...process.env, TMPDIR: dir },
    // A node ends in order when it is told to, with code 0: one that does not end by itself must not pass for that.
    killSignal: 'SIGKILL',
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`exit ${status ?? signal}\n${stdout}${stderr}`)
  return stdout
}

/** @param {string} file */
function readJson(file) {
  if (!existsSync(file)) throw new Error(`there is no ${file.slice(dir.length)}`)
  return JSON.parse(readFileSync(file, 'utf8'))
}
