/**
 * A small deterministic random generator (sfc32 by Chris Doty-Humphrey) whose whole state is four integers, so that
 * a machine can carry it as plain data and one seed decides a whole run. Not for secrets: boot ids and nonces come
 * from the operating system, in the shells.
 */

export interface Random {
  a: number
  b: number
  c: number
  d: number
}

/** A generator from any 32-bit integer; equal seeds give equal sequences. */
export function seedRandom(seed: number): Random {
  const random: Random = { a: seed | 0, b: 0x9e3779b9 | 0, c: 0x243f6a88, d: 1 }
  for (let i = 0; i < 12; i++) nextInt(random)
  return random
}

/** The next 32 bits as an unsigned integer. */
export function nextInt(random: Random): number {
  const t = (((random.a + random.b) | 0) + random.d) | 0
  random.d = (random.d + 1) | 0
  random.a = random.b ^ (random.b >>> 9)
  random.b = (random.c + (random.c << 3)) | 0
  random.c = (((random.c << 21) | (random.c >>> 11)) + t) | 0
  return t >>> 0
}

/** The next number in [0, 1). */
export function nextFloat(random: Random): number {
  return nextInt(random) / 4294967296
}

/** An integer in [0, n); 0 where n is 0. */
export function below(random: Random, n: number): number {
  return Math.floor(nextFloat(random) * n)
}

/** One element, or undefined of an empty list. */
export function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[below(random, items.length)]
}

/** Up to `k` different elements in random order; the list itself stays as it was. */
export function sample<T>(random: Random, items: readonly T[], k: number): T[] {
  const pool = items.slice()
  const size = Math.min(k, pool.length)
  for (let i = 0; i < size; i++) {
    const j = i + below(random, pool.length - i)
    const swap = pool[i] as T
    pool[i] = pool[j] as T
    pool[j] = swap
  }
  pool.length = size
  return pool
}
