/**
 * The frames between actor layers, kinds 64-95: positional arrays straight onto the link. Payloads (arguments, values,
 * errors) are bytes of `values.ts`, so that one bad payload fails one call. Everything here is checked before it is
 * believed; a frame of a wrong shape is undefined, and dropped by whoever reads it.
 */
import { type ErrorCode, errorCodes, type Sent } from '@skep/cluster'
import { type Chain, chainFromWire, chainToWire } from './chain.js'

export const actorKinds = [64, 95] as const

export const kind = {
  call: 64,
  reply: 65,
  thrown: 66,
  refused: 67,
  cast: 68,
  cancel: 69,
  open: 70,
  item: 71,
  credit: 72,
  passed: 73,
} as const

export type ActorFrame =
  /** Asks for one answer: reply, thrown or refused. `left`: milliseconds until nobody waits any more, 0 for no end. */
  | {
      type: 'call' | 'open'
      id: number
      target: number
      method: string
      left: number
      args: Uint8Array
      name: string | undefined
      credit: number
      passedOn: boolean
      chain: Chain | undefined
      key: string | undefined
    }
  | { type: 'reply' | 'thrown' | 'item'; id: number; payload: Uint8Array }
  /** The layer's own answer: not done (`sent` no), or what came of it cannot be told. */
  | { type: 'refused'; id: number; code: ErrorCode; text: string; sent: Sent }
  | { type: 'cast'; target: number; method: string; args: Uint8Array; name: string | undefined; passedOn: boolean }
  /** The caller gave up, or wants no more items. */
  | { type: 'cancel'; id: number }
  /** The reader of a stream has room for this many more items. */
  | { type: 'credit'; id: number; items: number }
  /** Nothing more is passed on to this process from where it was before: see handoff.ts. */
  | { type: 'passed'; target: number }

/** What a call may carry besides; an older node reads on without it. */
export interface CallExtras {
  readonly passedOn: boolean
  readonly chain: Chain | undefined
  readonly key: string | undefined
}

/** Characters of the key of a call at most. */
export const maxKey = 200

/** Texts of refusals are cut to this many characters. */
const maxText = 2000

export function callFrame(
  id: number,
  target: number,
  method: string,
  left: number,
  args: Uint8Array,
  name: string | undefined,
  extras: CallExtras,
): unknown[] {
  const frame: unknown[] = [kind.call, id, target, method, left, args, name]
  const { passedOn, chain, key } = extras
  if (passedOn || chain !== undefined || key !== undefined) frame.push(0, passedOn)
  if (chain !== undefined || key !== undefined) frame.push(chain === undefined ? null : chainToWire(chain))
  if (key !== undefined) frame.push(key)
  return frame
}

export function openFrame(
  id: number,
  target: number,
  method: string,
  left: number,
  args: Uint8Array,
  name: string | undefined,
  credit: number,
  extras: CallExtras,
): unknown[] {
  const frame: unknown[] = [kind.open, id, target, method, left, args, name, credit]
  const { passedOn, chain } = extras
  if (passedOn || chain !== undefined) frame.push(passedOn)
  if (chain !== undefined) frame.push(chainToWire(chain))
  return frame
}

export function castFrame(
  target: number,
  method: string,
  args: Uint8Array,
  name: string | undefined,
  passedOn = false,
): unknown[] {
  const frame: unknown[] = [kind.cast, target, method, args, name]
  if (passedOn) frame.push(true)
  return frame
}

export function payloadFrame(type: 'reply' | 'thrown' | 'item', id: number, payload: Uint8Array): unknown[] {
  return [kind[type], id, payload]
}

export function refusedFrame(id: number, code: ErrorCode, text: string, sent: Sent): unknown[] {
  return [kind.refused, id, code, text.slice(0, maxText), sent]
}

export function cancelFrame(id: number): unknown[] {
  return [kind.cancel, id]
}

export function creditFrame(id: number, items: number): unknown[] {
  return [kind.credit, id, items]
}

export function passedFrame(target: number): unknown[] {
  return [kind.passed, target]
}

export function parseFrame(frame: readonly unknown[]): ActorFrame | undefined {
  switch (frame[0]) {
    case kind.call:
      return parseCall('call', frame)
    case kind.open:
      return parseCall('open', frame)
    case kind.reply:
      return parsePayload('reply', frame)
    case kind.thrown:
      return parsePayload('thrown', frame)
    case kind.item:
      return parsePayload('item', frame)
    case kind.refused:
      return parseRefused(frame)
    case kind.cast:
      return parseCast(frame)
    case kind.cancel:
      return isCount(frame[1]) ? { type: 'cancel', id: frame[1] } : undefined
    case kind.credit:
      return isCount(frame[1]) && isCount(frame[2]) ? { type: 'credit', id: frame[1], items: frame[2] } : undefined
    case kind.passed:
      return isCount(frame[1]) ? { type: 'passed', target: frame[1] } : undefined
    default:
      return undefined
  }
}

function parseCall(type: 'call' | 'open', frame: readonly unknown[]): ActorFrame | undefined {
  const [, id, target, method, left, args, name, credit, passedOn, chain, key] = frame
  if (!isCount(id) || !isCount(target) || typeof method !== 'string' || typeof left !== 'number' || !(left >= 0))
    return undefined
  if (!(args instanceof Uint8Array) || !isName(name)) return undefined
  if (type === 'open' && !isCount(credit)) return undefined
  const items = isCount(credit) ? credit : 0
  return {
    type,
    id,
    target,
    method,
    left,
    args,
    name: name ?? undefined,
    credit: items,
    passedOn: passedOn === true,
    chain: chainFromWire(chain),
    key: typeof key === 'string' && key.length <= maxKey ? key : undefined,
  }
}

function parseCast(frame: readonly unknown[]): ActorFrame | undefined {
  const [, target, method, args, name, passedOn] = frame
  if (!isCount(target) || typeof method !== 'string' || !(args instanceof Uint8Array) || !isName(name)) return undefined
  return { type: 'cast', target, method, args, name: name ?? undefined, passedOn: passedOn === true }
}

function parsePayload(type: 'reply' | 'thrown' | 'item', [, id, payload]: readonly unknown[]): ActorFrame | undefined {
  return isCount(id) && payload instanceof Uint8Array ? { type, id, payload } : undefined
}

function parseRefused([, id, code, text, sent]: readonly unknown[]): ActorFrame | undefined {
  if (!isCount(id) || typeof code !== 'string' || typeof text !== 'string') return undefined
  if (sent !== 'no' && sent !== 'maybe' && sent !== 'yes') return undefined
  // A code that a newer version made: what is known of it is that the call was refused.
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'ERR_BAD_REPLY'
  return { type: 'refused', id, code: known, text: text.slice(0, maxText), sent }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isName(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || typeof value === 'string'
}
