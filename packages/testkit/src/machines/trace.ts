/**
 * What happened, for machines (a rolling hash: equal for equal runs) and for people (a line an event). Boot ids of a
 * run are short and speak for themselves, so values are printed as they are.
 */
import type { SimEvent } from './event.js'
import { kinds } from './event.js'
import { hex } from './report.js'

export class TraceHash {
  private high = 0x811c9dc5
  private low = 0x9e3779b9

  add(event: SimEvent): void {
    const node = event.node === undefined ? 0 : event.node.index + 1
    const time = Math.round(event.at * 1000)
    this.high = Math.imul(this.high ^ ((event.kind << 16) + node), 0x01000193) ^ time
    this.low = Math.imul((this.low << 5) ^ (this.low >>> 3) ^ time, 0x85ebca6b) + event.kind * 31 + node
  }

  toString(): string {
    return hex(this.high) + hex(this.low)
  }
}

const kindNames = new Map<number, string>(Object.entries(kinds).map(([name, kind]) => [kind, name]))

/** `   123.456 c5d6-n03-2 frame ab3x-n01-1 {...}` */
export function eventLine(event: SimEvent): string {
  const who = event.node === undefined ? '-' : event.node.boot
  const far = event.link !== undefined && event.node !== undefined ? ` ${event.link.other(event.node).boot}` : ''
  const value = event.value === 0 ? '' : ` ${event.value}`
  const text = event.text === '' ? '' : ` ${event.text}`
  const load = event.load === undefined || event.kind === kinds.dialled ? '' : ` ${show(event.load)}`
  return `${event.at.toFixed(3).padStart(10)} ${who} ${kindNames.get(event.kind)}${far}${value}${text}${load}`
}

/** Plain data as one short line; byte arrays as hexadecimal, maps as their entries. */
export function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (inner instanceof Uint8Array) return `0x${Buffer.from(inner).toString('hex')}`
    if (inner instanceof Map) return [...inner]
    if (typeof inner === 'object' && inner !== null && 'address' in inner && 'boot' in inner) return inner.boot
    return inner
  })
  return text === undefined ? 'undefined' : text.replaceAll('"', '')
}

/** Makes a value and all that it consists of unchangeable, so that a machine that writes into a frame is caught. */
export function freezeDeep(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  // The elements of a byte array cannot be frozen.
  if (ArrayBuffer.isView(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) freezeDeep(inner)
}
