/**
 * Makes docs/performance.md and its plots from one run of the benchmarks, whose JSON is kept beside it, so that no
 * figure there is typed by hand. About half an hour, on two cores that do nothing else. `--quick` tries the script
 * itself, into a folder given by `--into`; `--from FILE` writes the page of a run that was kept; `--other FILE` adds one
 * of some rows on another version of Node (that Node's `npm run -s bench -- ROWS --json`); names of rows, `--rounds` and
 * `--million` go to the benchmarks.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build, checkNode, fail, install, root } from './bootstrap.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    million: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    from: { type: 'string' },
    other: { type: 'string' },
    into: { type: 'string' },
  },
})
if (values.quick && values.into === undefined) fail('--quick needs --into: its figures do not belong in docs/')

const docs = values.into ?? join(root, 'docs')
const args = [
  ...positionals,
  ...(values.quick ? ['--quick'] : []),
  ...(values.million ? ['--million'] : []),
  ...(values.rounds === undefined ? [] : ['--rounds', values.rounds]),
]

checkNode()
install()
if (!build('bench')) process.exit(1)
const built = (/** @type {string} */ name) => import(pathToFileURL(join(root, 'bench/dist', name)).href)
const { page, plotFiles, plotFolder } = await built('page.js')
const { rows } = await built('rows.js')

const { text, status } = values.from === undefined ? measure() : { text: readFileSync(values.from, 'utf8'), status: 0 }
const run = JSON.parse(text)
const other = values.other === undefined ? undefined : readFileSync(values.other, 'utf8')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const folder = join(docs, plotFolder)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
writeFileSync(join(docs, 'performance.json'), text)
const otherRun = other === undefined ? undefined : JSON.parse(other)
writeFileSync(join(docs, 'performance.md'), page(run, commandOf(run), version, otherRun))
if (other !== undefined) writeFileSync(join(docs, 'performance-other.json'), other)
for (const { file, svg } of plotFiles(run)) writeFileSync(join(folder, file), svg)
process.exitCode = status

/** The answer also where something in it was wrong: the page then says so. */
function measure() {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'bench/dist/main.js'), ...args, '--json'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (stdout === '') fail('the benchmarks gave no answer; see above')
  return { text: stdout, status: status ?? 1 }
}

/** @param {{ million: boolean, quick: boolean, rounds: number, rows: object }} run */
function commandOf({ million, quick, rounds, rows: those }) {
  const names = Object.keys(those)
  const some = names.length === Object.keys(rows).length ? [] : names
  const flags = [...(quick ? ['--quick'] : []), ...(million ? ['--million'] : [])]
  return ['node scripts/performance.mjs', ...some, '--rounds', rounds, ...flags].join(' ')
}
