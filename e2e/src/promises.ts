/**
 * What is promised about calls, judged by what all callers and all callees noted: one at a time, the order of each
 * caller, one outcome each, deadlines, cancellation, keys. And the programs of calls that are to show it, from a seed.
 */

import type { Did } from './busy.js'
import type { Asked, Step } from './busynode.js'
import type { Checks } from './scenario.js'

/** Calls as often as others of their kind, in short bursts: more work than can be done in time, so some is given up. */
export function programFor(caller: string, calls: number, desks: readonly string[], random: () => number): Step[] {
  const upTo = (most: number): number => Math.floor(random() * (most + 1))
  const program: Step[] = []
  for (let made = 0; made < calls; ) {
    if (random() < 0.3) {
      program.push({ do: 'pass', ms: upTo(60) })
      continue
    }
    made += 1
    program.push({
      do: 'call',
      id: `${caller}/${made}`,
      desk: desks[upTo(desks.length - 1)] as string,
      relayed: random() < 0.5,
      // Some take far longer than any caller waits.
      ms: random() < 0.03 ? LONG_MS : upTo(40),
      timeout: 20 + upTo(400),
      abortAfter: random() < 0.25 ? upTo(200) : undefined,
      // Few, and the same for all callers: they are used again and again.
      key: random() < 0.2 ? `key-${upTo(KEYS - 1)}` : undefined,
    })
  }
  return program
}

const KEYS = 20
const LONG_MS = 3000

/** The codes that a call may fail with here. */
const CODES = ['ERR_TIMEOUT', 'ERR_ABORTED']

/** Times are looked at with so much slack, since processes have to wait for their turn. */
export function judge(checks: Checks, asked: readonly Asked[], did: readonly Did[], slackMs: number): Promised {
  const plain = asked.filter(({ key }) => key === undefined)
  const runs = new Map<string, Did>(did.map((one) => [one.id, one]))
  const say = (what: string, wrong: readonly string[]): void =>
    checks.check(what, wrong.length === 0, `${wrong.length}: ${wrong.slice(0, 5).join('\n')}`)
  const each = <T>(all: readonly T[], wrong: (one: T) => string | false): string[] =>
    all.flatMap((one) => wrong(one) || [])

  say('no actor does two calls at a time, on whatever nodes, and none forgets one', each(byDesk(did), outOfTurn))
  say(
    'no call is done twice',
    each([...runs.keys()], (id) => did.filter((one) => one.id === id).length > 1 && id),
  )
  say(
    'each call has one outcome',
    each(asked, ({ id, outcomes }) => outcomes.length !== 1 && id),
  )
  say(
    'an answer is that of its call, which was done to its end',
    each(asked, (call) => {
      const { value } = outcomeOf(call)
      if (value === undefined) return false
      const run = runs.get(value.split(' did ')[1] ?? '')
      const own = run?.id === call.id || call.key !== undefined
      if (own && run?.endedAt !== undefined && value === `${call.desk} did ${run.id}`) return false
      return `${call.id} of ${call.desk} got '${value}'`
    }),
  )
  say(
    'a call fails by its deadline or its caller alone, and one that was not sent is not done',
    each(plain, (call) => {
      const { code, sent } = outcomeOf(call)
      if (code !== undefined && !CODES.includes(code)) return `${call.id}: ${code}`
      return sent === 'no' && runs.has(call.id) && `${call.id}: ${code} sent 'no', and was done`
    }),
  )
  say(
    'no outcome comes after the deadline, or the abort',
    each(asked, (call) => late(call.id, outcomeOf(call).at, call.until, slackMs)),
  )
  say(
    'nothing is begun for a caller who waits no more',
    each(plain, ({ id, until }) => late(id, runs.get(id)?.begunAt, until, slackMs)),
  )
  const givenUp = plain.filter((call) => {
    const { at = 0, code } = outcomeOf(call)
    return code !== undefined && (runs.get(call.id)?.begunAt ?? Number.POSITIVE_INFINITY) < at
  })
  say(
    'work that its caller gave up while it ran is ended',
    each(givenUp, (call) =>
      late(call.id, runs.get(call.id)?.endedAt ?? Number.POSITIVE_INFINITY, outcomeOf(call).at ?? 0, slackMs),
    ),
  )
  say('each caller’s calls are done in their order', outOfOrder(plain, did))
  const keyed = keyGroups(asked)
  say(
    'what is asked for again under a key is done once, and answered alike',
    each([...keyed], ([key, calls]) => {
      const done = calls.filter(({ id }) => runs.has(id)).map(({ id }) => id)
      const values = new Set(calls.flatMap((call) => outcomeOf(call).value ?? []))
      return (done.length > 1 || values.size > 1) && `${key}: done as ${done.join(', ')}; ${[...values].join(', ')}`
    }),
  )
  const answers = (calls: readonly Asked[]): number =>
    calls.filter((call) => outcomeOf(call).value !== undefined).length
  return {
    calls: asked.length,
    answered: answers(asked),
    timeouts: asked.filter((call) => outcomeOf(call).code === 'ERR_TIMEOUT').length,
    aborted: givenUp.filter(({ id }) => runs.get(id)?.aborted === true).length,
    repeated: [...keyed.values()].reduce((sum, calls) => sum + Math.max(0, answers(calls) - 1), 0),
    latestMs: Math.round(Math.max(...asked.map((call) => (outcomeOf(call).at ?? call.until) - call.until))),
  }
}

/** How much of each there was. */
export interface Promised {
  readonly calls: number
  readonly answered: number
  readonly timeouts: number
  /** Calls that were being done when their caller gave up, and were told. */
  readonly aborted: number
  /** Answers that were given again. */
  readonly repeated: number
  /** How long after its deadline the latest outcome came. */
  readonly latestMs: number
}

function outcomeOf({ outcomes }: Asked): Partial<Asked['outcomes'][number]> {
  return outcomes[0] ?? {}
}

function late(id: string, at: number | undefined, until: number, slackMs: number): string | false {
  return at !== undefined && at > until + slackMs && `${id}: ${Math.round(at - until)} ms`
}

function byDesk(did: readonly Did[]): Did[][] {
  const desks = new Map<string, Did[]>()
  for (const one of did) desks.set(one.desk, [...(desks.get(one.desk) ?? []), one])
  return [...desks.values()].map((all) => all.sort((a, b) => a.begunAt - b.begunAt))
}

/** Its turns are numbered by its state, which goes from node to node with it. */
function outOfTurn(turns: readonly Did[]): string | false {
  const wrong = turns.findIndex(
    ({ turn, begunAt }, i) =>
      turn !== i || begunAt < (i === 0 ? 0 : (turns[i - 1]?.endedAt ?? Number.POSITIVE_INFINITY)),
  )
  const { desk, turn, id } = turns[wrong] ?? {}
  return (
    wrong >= 0 &&
    `${desk} did ${id} as its turn ${turn}, before ${turns[wrong - 1]?.id} was done, or not as turn ${wrong}`
  )
}

function outOfOrder(asked: readonly Asked[], did: readonly Did[]): string[] {
  const begun = [...did].sort((a, b) => a.begunAt - b.begunAt).map(({ id }) => id)
  const at = new Map(begun.map((id, i) => [id, i]))
  const last = new Map<string, string>()
  return asked.flatMap(({ id, line }) => {
    const place = at.get(id)
    if (place === undefined) return []
    const before = last.get(line)
    last.set(line, id)
    return before !== undefined && (at.get(before) ?? 0) > place ? [`${line}: ${id} before ${before}`] : []
  })
}

function keyGroups(asked: readonly Asked[]): Map<string, Asked[]> {
  const groups = new Map<string, Asked[]>()
  for (const call of asked) {
    if (call.key === undefined) continue
    const group = `${call.key} of ${call.desk}`
    groups.set(group, [...(groups.get(group) ?? []), call])
  }
  return groups
}
