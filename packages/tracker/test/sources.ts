/** What streams of events are given to begin with. */
import type { EventSource } from '../src/events.js'

/** No name is held when somebody begins to read. */
export const noNames: EventSource = {
  watch: () => {},
  defer: (fn) => fn(),
  pieces: () => 1,
  pieceOf: () => 0,
  holdersIn: () => [],
}
