/** The class that docs/types.md shows. */
import { type ClassOptions, fromClass, selfOf, via } from 'skep'
import { expect, test } from 'vitest'
import { simulate } from '../src/index.js'

class Account {
  static readonly options = { kind: 'account', restart: 'permanent' } satisfies ClassOptions<Account>
  balance: number
  private entries: string[] = []

  constructor(balance: number) {
    this.balance = balance
  }

  deposit(amount: number): number {
    this._note(`deposit ${amount}`)
    this.balance += amount
    return this.balance
  }

  where(): string {
    return `${selfOf(this).name} on ${selfOf(this).node.name}`
  }

  async *history(): AsyncGenerator<string> {
    yield* this.entries
  }

  onStart(): void {
    this._note(`started on ${selfOf(this).node.name}`)
  }

  _note(text: string): void {
    this.entries.push(text)
  }
}

const Accounts = fromClass(Account)

test('an actor of a class is called as any other, and moves with its fields', async () => {
  await using sim = await simulate({ seed: 1, nodes: 2, actors: [Accounts] })
  const [node, other] = sim.nodes
  if (node === undefined || other === undefined) throw new Error('two nodes were asked for')
  await Promise.all(sim.nodes.map((one) => one.ready()))

  await node.spawn(Accounts, via('ann'), 100)
  const ann = node.via(Accounts, 'ann')
  expect(await ann.deposit(20)).toBe(120)

  const [, before] = (await ann.where()).split(' on ')
  const there = before === node.name ? other.name : node.name
  await node.move('ann', there)
  expect(await ann.deposit(1)).toBe(121)
  expect(await ann.where()).toBe(`ann on ${there}`)
  const history: string[] = []
  for await (const entry of ann.history()) history.push(entry)
  expect(history).toEqual([`started on ${before}`, 'deposit 20', `started on ${there}`, 'deposit 1'])
})
