/**
 * One seed for all property tests, so that a run can be repeated. `SKEP_SEED=123` takes another one; a failing property
 * prints its own seed and path besides.
 */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.SKEP_SEED ?? 20_240_229) })
