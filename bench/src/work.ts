/** Work that takes the processor a while and nothing else, the same amount each time, with an answer that can be checked. */

/** A millisecond or more: far longer than what a call costs, and short enough for a method that others wait for. */
const STEPS = 1_500_000
const INPUTS = 16

/** Marsaglia's xorshift, so often that nobody can leave it out. */
export function work(i: number): number {
  let x = (i % INPUTS) + 1
  for (let n = 0; n < STEPS; n++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
  }
  return x >>> 0
}

let answers: readonly number[] | undefined

export function rightWork(answer: unknown, i: number): boolean {
  answers ??= Array.from({ length: INPUTS }, (_, input) => work(input))
  return answer === answers[i % INPUTS]
}
