/** Those who watch one actor, as its own node has them (`monitor.ts` is their side): each is answered with its end. */
import type { DownReason } from './definition.js'
import type { Message } from './message.js'

/** Those who may watch one actor at once. */
const maxWatchers = 10_000

export class Watchers {
  readonly #all = new Set<Message>()

  /** `title`: whom it watches. */
  add(message: Message, title: string): void {
    if (this.#all.size < maxWatchers) this.#all.add(message)
    else message.refuse('ERR_OVERLOADED', `${title} is watched by ${maxWatchers} already: end some monitors`, 'no')
  }

  delete(message: Message): void {
    this.#all.delete(message)
  }

  tell(end: DownReason): void {
    for (const message of this.#all) message.answer(end)
    this.#all.clear()
  }
}
