/**
 * The process that holds a placed name stands still (SIGSTOP) for a time and goes on. Where that outlasts detection its
 * names are started elsewhere, and the old copy must not answer any more: whoever called it meanwhile, in whatever way,
 * gets an error, and what was in its sockets is not run. A short stall must not move anything.
 */

import { mustHold } from './faults.js'
import { type Elsewhere, spawnElsewhere, views } from './kill9.js'
import { allReady, askAll, clock, type Node, startAll, uniqueCluster, withOutputs } from './nodes.js'
import { Checks, pause, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { everybodyKnown, oneHolder, sameRegistry, until } from './whole.js'

export interface StallOptions {
  /** Lengths of the stalls, one after the other. */
  readonly seconds: readonly number[]
  readonly times: number
}

/** What is promised for a stall that outlasts detection. */
const P99_MS = 6000

/**
 * Shorter stalls are not noticed by anybody, longer ones by everybody; between them both is right. A probe begins at
 * most a period after the stall and lasts one, then the suspicion runs for at least 2 s and at most 6 s.
 */
const NEVER_BELOW_S = 2
const ALWAYS_FROM_S = 8

/** No answer within this time is none. */
const ANSWER_MS = 20_000

export async function stall({ seconds, times }: StallOptions, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const answered: number[] = []
  say(`stall: the holder of a name stands still for ${seconds.join(', ')} s, ${times} times each`)
  await checks.part('stall', async () => {
    const nodes = startAll(3, { cluster: uniqueCluster() })
    await allReady(nodes, clock())
    for (const length of seconds) {
      for (let time = 1; time <= times; time++) {
        const ms = await withOutputs(nodes, () => oneStall(checks, nodes, length, `${length}s-${time}`, say))
        if (ms !== undefined && length >= ALWAYS_FROM_S) answered.push(ms)
      }
    }
  })
  const answeredMs = summary(answered)
  if (seconds.some((length) => length >= ALWAYS_FROM_S)) {
    say(`  first answer of the new holder: ${inWords(answeredMs)}`)
    checks.check(`p99 at most ${P99_MS} ms`, answeredMs.p99 <= P99_MS, `${answeredMs.p99} ms`)
  }
  return { scenario: 'stall', checks: checks.all, figures: { seconds, times, answeredMs } }
}

/** Gives after how long the name was answered elsewhere, if it was. */
async function oneStall(
  checks: Checks,
  nodes: readonly Node[],
  seconds: number,
  label: string,
  say: Say,
): Promise<number | undefined> {
  await mustHold(everybodyKnown(nodes))
  const caller = nodes[seconds % nodes.length] as Node
  const target = await spawnElsewhere(nodes, caller, `stalled-${label}`)
  await mustHold(sameRegistry(nodes))
  const victim = nodes[target.index] as Node
  const others = nodes.filter((node) => node !== victim)
  await caller.ask('hold', target.name)
  await victim.ask('knock', target.name, 20)
  const downsBefore = (await askAll(others, 'downs')).flat().length
  const stoppedAt = clock()
  process.kill(victim.pid, 'SIGSTOP')
  try {
    const limit = Math.max(seconds * 1000, seconds < ALWAYS_FROM_S ? 0 : ANSWER_MS)
    const elsewhere = caller.ask('answeredByOther', target.name, target.holder, limit)
    const straight = straightCalls(caller, stoppedAt + seconds * 1000)
    await pause(seconds * 1000)
    const continuedAt = clock()
    process.kill(victim.pid, 'SIGCONT')
    const answer = await within(limit + ANSWER_MS, `an answer from ${target.name}`, elsewhere)
    const ms = answer === undefined ? undefined : answer.at - stoppedAt
    await mustHold(everybodyKnown(nodes), 30_000)
    await mustHold(oneHolder(nodes, [target.name]), 30_000)
    const same = await until(clock(), 10_000, sameRegistry(nodes))
    checks.check(`${label}: the registries are equal afterwards`, same.ms !== undefined, same.wrong)
    const answers = await straight
    const downs = (await askAll(others, 'downs')).flat().length - downsBefore
    const inside = await victim.ask('knocked', continuedAt)
    // A stall of middling length may be noticed just when it ends.
    const moved = (await caller.ask('who', target.name)).process !== target.holder.process
    if (seconds < NEVER_BELOW_S || !moved) await unmoved(checks, label, nodes, target, downs)
    else await movedOnce(checks, label, { caller, victim, target, continuedAt, answers })
    if (seconds >= ALWAYS_FROM_S)
      checks.check(`${label}: it is answered elsewhere`, ms !== undefined, await views(nodes, victim, target.name))
    say(`  ${label}: ${ms === undefined ? 'nothing moved' : `answered elsewhere after ${ms.toFixed(0)} ms`}`)
    if (moved) {
      checks.check(
        `${label}: no call of its own code, made once it goes on, is answered by the old copy`,
        inside.own === 0 && inside.answers > 0,
        `${inside.own} of ${inside.answers}`,
      )
    }
    return ms
  } finally {
    process.kill(victim.pid, 'SIGCONT')
  }
}

/** Calls to the stopped process itself, by pid, spread over the stall, each waiting long past its end. */
async function straightCalls(caller: Node, until: number): Promise<readonly unknown[]> {
  const calls: Promise<unknown>[] = []
  while (clock() < until - 100) {
    const patience = Math.round(until - clock() + 5000)
    calls.push(within(patience + 10_000, 'a call to the stopped process', caller.ask('callHeld', patience)))
    await pause(250)
  }
  return Promise.all(calls)
}

interface Moved {
  readonly caller: Node
  readonly victim: Node
  readonly target: Elsewhere
  readonly continuedAt: number
  readonly answers: readonly unknown[]
}

async function movedOnce(
  checks: Checks,
  label: string,
  { caller, victim, target, continuedAt, answers }: Moved,
): Promise<void> {
  const who = await caller.ask('who', target.name)
  const moved = who.process !== target.holder.process && who.boot !== target.holder.boot
  checks.check(
    `${label}: one other process, of another boot, with a higher fence`,
    moved && who.fence > target.holder.fence,
    `${JSON.stringify(target.holder)} -> ${JSON.stringify(who)}`,
  )
  const answeredByOld = answers.filter((answer) => typeof answer !== 'string')
  checks.check(
    `${label}: no call sent straight to the stopped process is answered by the old copy`,
    answeredByOld.length === 0,
    `${answeredByOld.length} of ${answers.length}: ${JSON.stringify(answeredByOld[0])}`,
  )
  const ranAt = (await victim.ask('lastRun', target.name)) ?? Number.NEGATIVE_INFINITY
  checks.check(
    `${label}: no call that it received runs in the old copy once it goes on`,
    ranAt < continuedAt,
    `the last one ${Math.round(ranAt - continuedAt)} ms after it went on`,
  )
}

async function unmoved(
  checks: Checks,
  label: string,
  nodes: readonly Node[],
  target: Elsewhere,
  downs: number,
): Promise<void> {
  const all = await askAll(nodes, 'who', target.name)
  const same = all.every(({ process, fence }) => process === target.holder.process && fence === target.holder.fence)
  checks.check(`${label}: nothing moves`, same, JSON.stringify(all))
  checks.check(`${label}: nobody is declared down`, downs === 0, `${downs} times`)
}
