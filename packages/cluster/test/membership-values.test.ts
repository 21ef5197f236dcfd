import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redialDelayMs } from '../src/core/dialling.js'
import { joinMember, type Member, membershipLimits, suspicionMs } from '../src/core/index.js'
import { infoOf } from './network.js'

/** Records of one boot as its nodes make them: what it says of itself is fixed by its incarnation. */
const infos = Array.from({ length: 4 }, (_, i) => ({ ...infoOf('x'), weight: i }))
const records: fc.Arbitrary<Member> = fc
  .record({
    phase: fc.constantFrom('joining', 'up', 'leaving', 'down', 'left'),
    incarnation: fc.nat(3),
    suspect: fc.boolean(),
  })
  .map((r) => ({ ...r, info: infos[r.incarnation] ?? infoOf('x') }))

describe('the join of two records', () => {
  it('is commutative', () => {
    fc.assert(
      fc.property(records, records, (a, b) => {
        expect(joinMember(a, b)).toEqual(joinMember(b, a))
      }),
    )
  })

  it('is associative', () => {
    fc.assert(
      fc.property(records, records, records, (a, b, c) => {
        expect(joinMember(joinMember(a, b), c)).toEqual(joinMember(a, joinMember(b, c)))
      }),
    )
  })

  it('is idempotent, and gives back the very record when there is nothing new', () => {
    fc.assert(
      fc.property(records, records, (a, b) => {
        const both = joinMember(a, b)
        expect(joinMember(both, a)).toBe(both)
        expect(joinMember(both, b)).toBe(both)
      }),
    )
  })
})

describe('the suspicion timeout', () => {
  // size, confirmations, expected -> ms, with min 2 s and max 6 s
  it.each([
    [2, 0, 0, 2000],
    [3, 0, 1, 6000],
    [3, 1, 1, 2000],
    [10, 0, 3, 6000],
    [10, 1, 3, 4000],
    [10, 2, 3, 2830],
    [10, 3, 3, 2000],
    [10, 9, 3, 2000],
    [100, 0, 3, 12000],
    [100, 1, 3, 8000],
    [100, 3, 3, 4000],
    [1000, 3, 3, 6000],
  ])('of %i members after %i of %i confirmations is %i ms', (size, confirmations, expected, ms) => {
    expect(Math.round(suspicionMs(size, confirmations, expected, membershipLimits))).toBe(ms)
  })

  it('never rises with a confirmation and stays within its bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1024 }), fc.nat(20), fc.nat(10), (size, c, k) => {
        const ms = suspicionMs(size, c, k, membershipLimits)
        const scale = Math.max(1, Math.log10(size))
        expect(suspicionMs(size, c + 1, k, membershipLimits)).toBeLessThanOrEqual(ms)
        expect(ms).toBeGreaterThanOrEqual(2000 * scale - 1e-6)
        expect(ms).toBeLessThanOrEqual(6000 * scale + 1e-6)
      }),
    )
  })
})

describe('the redial delay', () => {
  it.each([
    [100, 0, 50],
    [100, 0.5, 75],
    [5000, 0, 2500],
    [5000, 0.9999, 5000],
  ])('of backoff %i ms and chance %f is about %i ms', (backoff, r, ms) => {
    expect(Math.round(redialDelayMs(backoff, r))).toBe(ms)
  })
})
