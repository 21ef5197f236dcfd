/** The README's first command: it tells its story, twice at once, offers a prompt, and leaves nothing behind. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runProgram, runs } from './programs.js'
import { Checks, eventually, type Report, type Say } from './scenario.js'

const PROGRAM = new URL('./main.js', import.meta.resolve('@skep/example-counter/processes'))

/** What the README promises, in ms. */
const LIMIT_MS = 30_000
const ROUNDS_LIMIT_S = 15

interface Told {
  readonly ok: boolean
  readonly rounds: readonly number[]
  readonly roundsSeconds: number
  readonly steps: readonly { readonly node: string; readonly does: string; readonly result: unknown }[]
}

export async function demo(say: Say): Promise<Report> {
  const checks = new Checks(say)
  say('demo: the story of the README')
  const figures: Record<string, unknown> = {}
  await checks.part('story', async () => {
    const { code, stdout, stderr, ms } = await runProgram(PROGRAM, [], 2 * LIMIT_MS)
    const seconds = Number(/10 rounds in ([\d.]+) s/.exec(stdout)?.[1])
    figures.storyMs = Math.round(ms)
    figures.roundsSeconds = seconds
    checks.check(`10 rounds under ${ROUNDS_LIMIT_S} s`, seconds < ROUNDS_LIMIT_S, `${seconds} s`)
    checks.check('exit 0', code === 0, `exit ${code}\n${stdout}\n${stderr}`)
    checks.check(`under ${LIMIT_MS / 1000} s`, ms < LIMIT_MS, `${Math.round(ms)} ms`)
    for (const part of ['demo-3    via(Counter', 'refused, ERR_ALREADY_STARTED', 'round 10: 3 members', 'Done in']) {
      checks.check(`prints '${part}'`, stdout.includes(part), stdout)
    }
  })
  await checks.part('twice at once', async () => {
    const both = await Promise.all([1, 2].map(() => runProgram(PROGRAM, ['--json'], 3 * LIMIT_MS)))
    for (const [i, { code, stdout, stderr }] of both.entries()) {
      const told = parse(stdout)
      const whole = code === 0 && told?.ok === true && told.rounds.length === 10
      checks.check(`copy ${i + 1} of two at once`, whole, `exit ${code}\n${stdout}\n${stderr}`)
    }
  })
  await checks.part('prompt', async () => {
    const typed = [
      `const pid = await node.spawn(Counter, via('typed'), 40)`,
      `await node.via(Counter, 'typed').increment(2)`,
      `node.members().length`,
      '.exit',
    ]
    const { code, stdout, stderr } = await runProgram(PROGRAM, ['--repl', '2'], LIMIT_MS, `${typed.join('\n')}\n`)
    const answered = /demo-2> 42\n/.test(stdout) && /demo-2> 3\n/.test(stdout)
    checks.check('a prompt on node 2, fed from a pipe', code === 0 && answered, `exit ${code}\n${stdout}\n${stderr}`)
  })
  await checks.part('bad options', async () => {
    for (const args of [['--repl', '9'], ['--what'], ['--cluster', 'x']]) {
      const { code, stderr } = await runProgram(PROGRAM, args, LIMIT_MS)
      checks.check(
        `${args.join(' ')}: exit 2 and the usage`,
        code === 2 && stderr.includes('usage:'),
        `${code} ${stderr}`,
      )
    }
  })
  await checks.part('a killed story', async () => {
    const seen = await killedStory()
    checks.check('its nodes end when the story itself is killed', seen.length === 0, `still there: ${seen}`)
  })
  return { scenario: 'demo', checks: checks.all, figures }
}

function parse(stdout: string): Told | undefined {
  try {
    return JSON.parse(stdout) as Told
  } catch {
    return undefined
  }
}

/** Kills the story with SIGKILL while it runs; gives the process ids of its nodes that are still there afterwards. */
async function killedStory(): Promise<number[]> {
  const child = spawn(process.execPath, [fileURLToPath(PROGRAM)], { stdio: ['ignore', 'pipe', 'ignore'] })
  const stop = (): void => {
    child.kill('SIGKILL')
  }
  process.on('exit', stop)
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    told += chunk
  })
  const pids = await eventually(
    LIMIT_MS,
    () => nodePids(told),
    (found) => found.length === 3,
  )
  if (pids.length !== 3) throw new Error(`the story did not start three nodes:\n${told}`)
  stop()
  process.off('exit', stop)
  return eventually(
    5000,
    () => pids.filter(runs),
    (left) => left.length === 0,
  )
}

function nodePids(told: string): number[] {
  return [...told.matchAll(/, process (\d+)/g)].map((match) => Number(match[1]))
}
