/** The example of docs/testing.md: an actor that sells seats, with the mistake and without it. */
import { defineActor, isSkepError, type SkepNode, via } from 'skep'

/** Sells one seat after the other. The mistake: it cannot tell a second order from the first one sent again. */
export const Tickets = defineActor('tickets', {
  init: () => ({ sold: [] as string[] }),
  on: {
    buy: (self, order: string) => self.state.sold.push(order),
    sold: (self) => self.state.sold,
  },
})

/** The same without the mistake: an order is known by its number, and has its seat. */
export const SafeTickets = defineActor('tickets', {
  init: () => ({ sold: [] as string[] }),
  on: {
    buy(self, order: string) {
      const seat = self.state.sold.indexOf(order)
      return seat < 0 ? self.state.sold.push(order) : seat + 1
    },
    sold: (self) => self.state.sold,
  },
})

/** What a shop does: it asks until it has a seat. A call that failed may have been done all the same. */
export async function buyOne(node: SkepNode, tickets: typeof Tickets, order: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await node.ensure(tickets, via('tonight')).$.with({ timeout: 1000 }).buy(order)
    } catch (error) {
      if (tries === 9 || !isSkepError(error)) throw error
    }
  }
}
