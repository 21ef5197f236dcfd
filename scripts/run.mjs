/**
 * `node scripts/run.mjs COMMAND ARGS`: what the root's npm scripts call. Installs and builds what the command needs, then runs it.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build, checkNode, fail, install, root, tool } from './bootstrap.mjs'

/**
 * What to compile first (nothing where the script does that itself and counts it), and what to run.
 * @type {Record<string, { build?: string[], run?: string[] }>}
 */
const commands = {
  demo: { build: ['examples/counter'], run: ['examples/counter/dist/main.js'] },
  sim: { build: ['packages/testkit'], run: ['packages/testkit/dist/cli/cli.js'] },
  e2e: { build: ['e2e'], run: ['e2e/dist/main.js'] },
  bench: { build: ['bench'], run: ['bench/dist/main.js'] },
  test: { run: ['scripts/test.mjs'] },
  check: { run: ['scripts/test.mjs', '--quick'] },
  build: { build: [] },
  lint: { run: [tool.biome, 'check'] },
  format: { run: [tool.biome, 'check', '--write'] },
}

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (!command) fail(`unknown command '${name}'; there are ${Object.keys(commands).join(', ')}`)
checkNode()
try {
  install()
} catch (error) {
  fail(/** @type {Error} */ (error).message)
}
if (command.build) {
  for (const project of command.build) if (!existsSync(join(root, project))) fail(`there is no ${project} yet`)
  if (!build(...command.build)) fail('the code does not compile; see above')
}
if (command.run) start([...command.run, ...args])

/**
 * Runs Node with our own standard streams and ends as the child ends.
 * @param {string[]} argv
 */
function start(argv) {
  const child = spawn(process.execPath, argv, { cwd: root, stdio: 'inherit' })
  // Ctrl-C reaches the child from the terminal; we only must not die before it. A plain kill reaches us alone.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}
