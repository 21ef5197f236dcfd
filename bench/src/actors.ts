/** The actors that are called, and what their answers must be. */
import { defineActor } from 'skep'
import { cpuUs, textOf } from './slice.js'
import { work } from './work.js'

/** A small object. */
export interface Item {
  readonly id: number
  readonly name: string
  readonly count: number
}

export function itemOf(i: number): Item {
  return { id: i, name: textOf(i), count: 3 }
}

export function priced({ id, name, count }: Item): { id: number; name: string; sum: number } {
  return { id, name, sum: count * 7 }
}

export function rightItem(answer: unknown, i: number): boolean {
  const { id, name, sum } = answer as { id?: unknown; name?: unknown; sum?: unknown }
  return id === i && name === textOf(i) && sum === 21
}

export function rightNumber(answer: unknown, i: number): boolean {
  return answer === i + 1
}

export function rightText(answer: unknown, i: number): boolean {
  return answer === textOf(i)
}

export const Bench = defineActor('bench', {
  init: () => ({}),
  on: {
    echo: (_, text: string): string => text,
    add: (_, n: number): number => n + 1,
    price: (_, item: Item) => priced(item),
    node: (self): string => self.node.name,
    work: (_, i: number): number => work(i),
    cpu: (): number => cpuUs(),
  },
})
