/**
 * Work that may not grow faster than what is held, and look-ups that may not be far from a bare Map. Ratios alone: of
 * processor time within this process, the best of rounds that take turns, with bounds so wide that only another order of
 * growth passes them. How fast anything is says `npm run bench`.
 */
import { expect, test } from 'vitest'
import { lookup } from '../src/core/index.js'
import { Trackers } from './trackers.js'

const few = 1000
const many = 10_000

/** More than this is no matter of caches and luck: it grows with what is held. */
const most = 4

/** Processor milliseconds; the time of the clock would count what other programs do meanwhile. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** Nodes `a` and `b`, with no names. */
function pair(): Trackers {
  const net = new Trackers()
  net.add(['a', 'b'])
  net.pass(2000)
  return net
}

/** `a` holds so many names, each of a process of its own. */
function fill(net: Trackers, names: number): void {
  for (let i = 1; i <= names; i++) {
    net.input('a', { type: 'claim', ask: i, name: `name-${i}`, pid: i, mode: 'local' })
    net.drain()
  }
  expect(shown(net, 'b')).toBe(names)
}

function shown(net: Trackers, node: string): number {
  return net.state(node).registry.index.size
}

/** What names go through, one after the other, in the same cluster. */
const life = {
  registered: fill,
  copied: (net: Trackers, names: number) => {
    net.add(['c'])
    net.drain()
    expect(shown(net, 'c')).toBe(names)
  },
  ended: (net: Trackers, names: number) => {
    for (let pid = 1; pid <= names / 2; pid++) {
      net.input('a', { type: 'gone', pid })
      net.drain()
    }
    expect(shown(net, 'b')).toBe(names / 2)
  },
  lost: (net: Trackers) => {
    net.kill('a')
    net.pass(1000)
    expect(shown(net, 'b')).toBe(0)
  },
}

type Stage = keyof typeof life
type Costs = Record<Stage, number>

/** Of so many clusters with so many names each. */
function live(clusters: number, names: number): Costs {
  const nets = Array.from({ length: clusters }, pair)
  const costs = {} as Costs
  for (const stage of Object.keys(life) as Stage[]) {
    costs[stage] = cpuMs(() => {
      for (const net of nets) life[stage](net, names)
    })
  }
  return costs
}

test('names are registered, copied, ended and lost at no greater cost for each where many are held', () => {
  // As many names in all, so that both last equally long.
  const rounds = Array.from({ length: 3 }, () => ({ few: live(many / few, few), many: live(1, many) }))
  const least = (of: 'few' | 'many', stage: Stage): number => Math.min(...rounds.map((round) => round[of][stage]))
  for (const stage of Object.keys(life) as Stage[]) {
    expect(least('many', stage) / least('few', stage), stage).toBeLessThan(most)
  }
})

test('an hour at rest costs no more where many names are held', () => {
  const costs = [few, many].map((names) => {
    const net = pair()
    fill(net, names)
    return { net, least: Number.POSITIVE_INFINITY }
  })
  for (let round = 0; round < 3; round++) {
    for (const cost of costs)
      cost.least = Math.min(
        cost.least,
        cpuMs(() => cost.net.pass(3_600_000)),
      )
  }
  const [atFew, atMany] = costs.map(({ least }) => least) as [number, number]
  expect(atMany / atFew).toBeLessThan(most)
})

test('a look-up costs no more than ten of a Map', () => {
  const net = pair()
  fill(net, many)
  const { registry } = net.state('b')
  const names = Array.from({ length: many }, (_, i) => `name-${i + 1}`)
  const map = new Map(names.map((name, i) => [name, { i }]))
  const find = (get: (name: string) => unknown): number => {
    let found = 0
    const cost = cpuMs(() => {
      for (let i = 0; i < 20; i++) for (const name of names) if (get(name) !== undefined) found++
    })
    expect(found).toBe(20 * many)
    return cost
  }
  const rounds = Array.from({ length: 5 }, () => ({
    map: find((name) => map.get(name)),
    registry: find((name) => lookup(registry, name)),
  }))
  const ratio = Math.min(...rounds.map((round) => round.registry)) / Math.min(...rounds.map((round) => round.map))
  expect(ratio).toBeLessThan(10)
})
