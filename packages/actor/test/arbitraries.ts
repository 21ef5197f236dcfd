/** Values of every kind that may be sent. */
import { Buffer } from 'node:buffer'
import { type ErrorCode, errorCodes, SkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import fc from 'fast-check'
import { mark } from '../src/values.js'

export const bytes = fc.uint8Array({ maxLength: 64 })
const views: fc.Arbitrary<object> = bytes.chain((b) =>
  fc.constantFrom<object>(
    b,
    Buffer.from(b),
    b.buffer.slice(0),
    new Int8Array(b),
    new Uint8ClampedArray(b),
    new Int16Array(b),
    new Uint16Array(b),
    new Int32Array(b),
    new Uint32Array(b),
    new Float32Array(b),
    new Float64Array(b),
    BigInt64Array.from([...b].map((x) => -BigInt(x))),
    BigUint64Array.from([...b].map(BigInt)),
    new DataView(b.buffer.slice(0)),
  ),
)

/** Values of every kind that may be sent and hold no others. */
export const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ maxLength: 300 }),
  fc.array(fc.integer({ min: 0xd800, max: 0xdfff })).map((units) => String.fromCharCode(...units)),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(mark, '\ufeff', `\ufeff${'x'.repeat(99)}`),
  fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined, null, true, false),
  fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }),
  fc.date({ noInvalidDate: false }),
  views,
  fc.constantFrom(/a+b/gi, /[\u{1F600}]/u),
  fc.nat().map((id) => new Pid('boot-of-a', id, 'a')),
)

const key = fc.oneof(
  fc.string(),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'toJSON', 'hasOwnProperty', 'then', 'code', 'ä', '\ud83d'),
)

const errorClasses = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]

/** The codes of errors that show their fields: those of an operator's faults are texts for a terminal. */
const codes = (Object.keys(errorCodes) as ErrorCode[]).filter((code) => Object.keys(new SkepError(code, '')).length > 0)

/** Values of every kind that may be sent, with these as what holds no others. */
export const treeOf = (leaves: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => {
    const value = tie('value')
    return {
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaves,
        fc.array(value, { maxLength: 5 }),
        fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true }),
        fc.array(fc.tuple(value, value), { maxLength: 4 }).map((entries) => new Map(entries)),
        fc.array(value, { maxLength: 4 }).map((items) => new Set(items)),
        fc
          .record({
            Class: fc.constantFrom(...errorClasses),
            message: fc.string(),
            cause: value,
            extra: value,
            code: leaf,
          })
          .map(({ Class, message, cause, ...own }) => Object.assign(new Class(message, { cause }), own)),
        fc
          .tuple(fc.string(), fc.array(value, { maxLength: 3 }))
          .map(([text, errors]) => new AggregateError(errors, text)),
        fc
          .record({ code: fc.constantFrom(...codes), cause: value, extra: value })
          .map(({ code, cause, extra }) => Object.assign(new SkepError(code, 'text', { cause }), { extra })),
      ),
    }
  }).value

export const tree: fc.Arbitrary<unknown> = treeOf(leaf)
