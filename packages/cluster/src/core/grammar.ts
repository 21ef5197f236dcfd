/**
 * The msgpack that may come from a peer, checked before msgpackr reads it. That takes more than values: record
 * definitions, for which it generates code, references back, and bundles of strings, of which 256 KiB keep it busy for
 * a second. So no extension passes but `undefined`, no length that is more than there is, no nesting without end.
 */

/** Bytes that are no value. Never leaves the layer that reads them: the frame, or the call they came with, fails. */
export class BadBytes extends Error {}

/** What a value holds besides what JSON knows; with a marked array it may hold bytes as well. */
export type Holding = 'plain' | 'bytes' | 'marked'

/** The deepest nesting that can be allowed. */
export const maxGrammarLevels = 512

/** The values still to come on each level above the one being read. Kept, since a check never runs inside another. */
const above = new Float64Array(maxGrammarLevels)

/**
 * Goes over the bytes of one value, without making anything of them. Throws BadBytes.
 *
 * `maxLevels`: the deepest nesting, at most `maxGrammarLevels`. `markByte`: an array or object whose first byte inside
 * is this one is told as `marked`; none is by default.
 */
export function checkGrammar(bytes: Uint8Array, maxLevels: number, markByte?: number): Holding {
  const end = bytes.length
  let holding: Holding = 'plain'
  let level = 0
  let count = 1
  let at = 0
  for (;;) {
    while (count === 0) {
      if (level === 0) {
        if (at === end) return holding
        throw new BadBytes(at < end ? 'bytes are left over' : 'the bytes end too early')
      }
      level -= 1
      count = above[level] ?? 0
    }
    if (at >= end) throw new BadBytes('the bytes end too early')
    count -= 1
    const code = bytes[at] ?? 0
    at += 1
    if (code < 0x80 || code >= 0xe0) continue
    let inside: number
    if (code < 0x90) inside = 2 * (code & 0x0f)
    else if (code < 0xa0) inside = code & 0x0f
    else if (code < 0xc0) {
      at += code & 0x1f
      continue
    } else {
      switch (code) {
        case 0xc0: // null, false, true
        case 0xc2:
        case 0xc3:
          continue
        case 0xc4: // bytes
        case 0xc5:
        case 0xc6:
          if (holding === 'plain') holding = 'bytes'
          at += (1 << (code - 0xc4)) + uint(bytes, at, 1 << (code - 0xc4))
          continue
        case 0xd9: // texts
        case 0xda:
        case 0xdb:
          at += (1 << (code - 0xd9)) + uint(bytes, at, 1 << (code - 0xd9))
          continue
        case 0xcb: // a double, then whole numbers without and with a sign
        case 0xcf:
        case 0xd3:
          at += 8
          continue
        case 0xcc:
        case 0xcd:
        case 0xce:
          at += 1 << (code - 0xcc)
          continue
        case 0xd0:
        case 0xd1:
        case 0xd2:
          at += 1 << (code - 0xd0)
          continue
        case 0xd4: // undefined is an extension
          if (bytes[at] !== 0) throw new BadBytes(`no extension ${bytes[at]} is known`)
          at += 2
          continue
        case 0xdc: // arrays
        case 0xdd:
          inside = uint(bytes, at, 2 << (code - 0xdc))
          at += 2 << (code - 0xdc)
          break
        case 0xde: // objects
        case 0xdf:
          inside = 2 * uint(bytes, at, 2 << (code - 0xde))
          at += 2 << (code - 0xde)
          break
        default:
          throw new BadBytes(`no value begins with 0x${code.toString(16)}`)
      }
    }
    if (level === maxLevels) throw new BadBytes('nested too deep')
    if (bytes[at] === markByte) holding = 'marked'
    above[level] = count
    level += 1
    count = inside
  }
}

function uint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let i = at; i < at + size; i++) value = value * 256 + (bytes[i] ?? 0)
  return value
}
