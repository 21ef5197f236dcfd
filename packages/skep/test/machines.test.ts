/** The placement that docs/cores.md shows. */
import { expect, test } from 'vitest'
import type { OwnPlacement, PlacementMember } from '../src/index.js'

// 'shard-7' and 'shard-7/copy' never on one machine, and all workers of a machine in use
const apart: OwnPlacement = (name, members) => {
  const machines = [...new Set(members.map(({ machine }) => machine))].sort()
  const shard = Number(/\d+/.exec(name))
  const machine = machines[(shard + (name.endsWith('/copy') ? 1 : 0)) % machines.length]
  const there = members.filter((one) => one.machine === machine)
  const first = Math.floor(shard / machines.length) % there.length
  const elsewhere = members.filter((one) => one.machine !== machine)
  return [...there.slice(first), ...there.slice(0, first), ...elsewhere].map((one) => one.name)
}

test('a shard and its copy are on two machines while there are two, and each worker has its part', () => {
  const shared = { roles: [], weight: 1, version: '' }
  const members: PlacementMember[] = ['a.0', 'a.1', 'b.0', 'b.1'].map((name) => {
    return { ...shared, name, machine: `10.0.0.${name[0] === 'a' ? 1 : 2}` }
  })
  const counts = new Map<string, number>()
  for (let shard = 0; shard < 40; shard++) {
    const [own = '', copy = ''] = [`shard-${shard}`, `shard-${shard}/copy`].map((name) => apart(name, members)[0])
    expect(own[0]).not.toBe(copy[0])
    for (const at of [own, copy]) counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  expect([...counts.values()]).toEqual([20, 20, 20, 20])
  const one = members.filter(({ name }) => name.startsWith('a'))
  expect(apart('shard-1', one)).toHaveLength(2)
})
