/**
 * Chance as the shells see it: one seam beside `Time`, so that one seed decides a whole simulation. What must not be
 * guessed (boot ids, nonces) comes from the operating system.
 */
import { randomBytes, randomInt } from 'node:crypto'

export interface Chance {
  /** Fresh random bytes that nobody can guess. */
  bytes(size: number): Buffer
  /** A whole number of 32 bits: the seed of a machine's own generator. */
  seed(): number
}

export const realChance: Chance = {
  bytes: (size) => randomBytes(size),
  seed: () => randomInt(2 ** 32),
}
