/**
 * Cluster frames as positional arrays `[kind, ...fields]`, kinds 16-27, and back. A message of an upper layer is an
 * array too: it stands on the wire as it is, or as the last field of a carrier.
 *
 * Reading trusts nothing: each field is checked against its type and its bound, and what does not fit gives undefined,
 * never a throw. Fields after the known ones are ignored (a newer minor version may append some). Packing arrays into
 * bytes is the shell's work.
 */
import { type BootId, latestStart, type Member, type MemberInfo, type Phase } from './member.js'
import type { ClusterFrame } from './membership.js'

/** The kinds of frames that belong to membership, both ends included. */
export const clusterKinds: readonly [number, number] = [16, 27]

/** The kinds that upper layers may use, both ends included: tracker 28-63, actors 64-95, applications 96-127. */
export const layerKinds: readonly [number, number] = [28, 127]

/** Bounds of what is read; the handshake and the configuration enforce the same on what is written. */
export const frameLimits = {
  /** Characters of a boot id: 22 today, room for other makers of ids. */
  bootChars: 64,
  nameChars: 255,
  addressChars: 300,
  roles: 64,
  roleChars: 64,
  kinds: 1024,
  kindChars: 255,
  versionChars: 128,
  weight: 1_000_000,
  /** Records in one frame: members and the gone ones that are remembered. */
  members: 8192,
} as const

const kindOf = {
  ping: 16,
  ack: 17,
  pingReq: 18,
  pingReqAck: 19,
  news: 20,
  refused: 21,
  bye: 22,
  carry: 23,
  relay: 24,
} as const

/** Phases by their number on the wire; the order never changes, new ones are appended. */
const phases: readonly Phase[] = ['joining', 'up', 'leaving', 'down', 'left']

/** The frame of an upper layer's message. */
export type EncodeMessage = (message: unknown) => readonly unknown[]
/**
 * The message of an upper layer's frame, undefined where it is not one. `to` is set for a relayed message: who is not
 * its target may leave it undecoded, since it only passes it on.
 */
export type DecodeMessage = (frame: readonly unknown[], to: BootId | undefined) => unknown

/** The array of a frame. Messages of upper layers are written by `encode`. */
export function encodeFrame(frame: ClusterFrame, encode: EncodeMessage): readonly unknown[] {
  switch (frame.type) {
    case 'ping':
    case 'ack':
      return [kindOf[frame.type], frame.seq]
    case 'pingReq':
      return [kindOf.pingReq, frame.seq, frame.subject]
    case 'pingReqAck':
      return [kindOf.pingReqAck, frame.seq, frame.ok]
    case 'news':
      return [kindOf.news, frame.members.map(encodeMember)]
    case 'refused':
      return [kindOf.refused, frame.subject]
    case 'bye':
      return [kindOf.bye]
    case 'message':
      return encode(frame.message)
    case 'carry':
      return [kindOf.carry, frame.members.map(encodeMember), encode(frame.message)]
    case 'relay':
      return [kindOf.relay, frame.from, frame.to, frame.members.map(encodeMember), encode(frame.message)]
  }
}

/** The frame of an array; undefined for anything that is not one. Messages of upper layers are read by `decode`. */
export function decodeFrame(raw: unknown, decode: DecodeMessage): ClusterFrame | undefined {
  if (!Array.isArray(raw)) return undefined
  const fields: readonly unknown[] = raw
  const kind = fields[0]
  if (isLayerKind(kind)) return withMessage(fields, undefined, decode, (message) => ({ type: 'message', message }))
  switch (kind) {
    case kindOf.ping:
    case kindOf.ack:
      return isCount(fields[1]) ? { type: kind === kindOf.ping ? 'ping' : 'ack', seq: fields[1] } : undefined
    case kindOf.pingReq:
      return isCount(fields[1]) && isBoot(fields[2])
        ? { type: 'pingReq', seq: fields[1], subject: fields[2] }
        : undefined
    case kindOf.pingReqAck:
      return isCount(fields[1]) && typeof fields[2] === 'boolean'
        ? { type: 'pingReqAck', seq: fields[1], ok: fields[2] }
        : undefined
    case kindOf.news: {
      const members = decodeMembers(fields[1])
      return members && { type: 'news', members }
    }
    case kindOf.refused:
      return isBoot(fields[1]) ? { type: 'refused', subject: fields[1] } : undefined
    case kindOf.bye:
      return { type: 'bye' }
    case kindOf.carry: {
      const members = decodeMembers(fields[1])
      return members && withMessage(fields[2], undefined, decode, (message) => ({ type: 'carry', members, message }))
    }
    case kindOf.relay: {
      const [, from, to] = fields
      const members = decodeMembers(fields[3])
      if (!isBoot(from) || !isBoot(to) || !members) return undefined
      return withMessage(fields[4], to, decode, (message) => ({ type: 'relay', from, to, members, message }))
    }
    default:
      return undefined
  }
}

/** What a node says of itself as an array of nine fields; see `decodeInfo`. */
export function encodeInfo(info: MemberInfo): unknown[] {
  const { boot, name, address, roles, weight, cordoned, kinds, version, startedAt } = info
  return [boot, name, address, roles, weight, cordoned, kinds, version, startedAt]
}

/** The nine fields from `at` on as what a node says of itself; undefined where one does not fit. */
export function decodeInfo(fields: readonly unknown[], at = 0): MemberInfo | undefined {
  const boot = fields[at]
  const name = fields[at + 1]
  const address = fields[at + 2]
  const roles = fields[at + 3]
  const weight = fields[at + 4]
  const cordoned = fields[at + 5]
  const kinds = fields[at + 6]
  const version = fields[at + 7]
  const startedAt = fields[at + 8]
  if (!isBoot(boot) || !isText(name, 1, frameLimits.nameChars) || !isDialable(address)) {
    return undefined
  }
  if (!isTexts(roles, frameLimits.roles, frameLimits.roleChars)) return undefined
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= frameLimits.weight)) return undefined
  if (typeof cordoned !== 'boolean' || !isTexts(kinds, frameLimits.kinds, frameLimits.kindChars)) return undefined
  if (!isText(version, 0, frameLimits.versionChars) || !isCount(startedAt)) return undefined
  if (startedAt > latestStart) return undefined
  return { boot, name, address, roles, weight, cordoned, kinds, version, startedAt }
}

/** What came after the first version: a flag at the end of what a node says of itself, written where it is set. */
export function withHalted(info: MemberInfo, flag: unknown): MemberInfo {
  return flag === true ? { ...info, halted: true } : info
}

/** `host:port` or `[v6]:port` in form: what cannot be dialled must not come from a peer. */
function isDialable(value: unknown): value is string {
  if (!isText(value, 1, frameLimits.addressChars)) return false
  const port = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(value)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

/** A phase as its number on the wire. */
export function encodePhase(phase: Phase): number {
  return phases.indexOf(phase)
}

export function decodePhase(value: unknown): Phase | undefined {
  return typeof value === 'number' ? phases[value] : undefined
}

/** True for a boot id: short, and of characters that need no escaping anywhere. */
export function isBoot(value: unknown): value is BootId {
  return typeof value === 'string' && value.length <= frameLimits.bootChars && /^[A-Za-z0-9_-]+$/.test(value)
}

/** True for a safe integer that is not negative. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** True for a string of min to max characters without control characters. */
export function isText(value: unknown, min: number, max: number): value is string {
  if (typeof value !== 'string' || value.length < min || value.length > max) return false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code < 32 || (code >= 127 && code < 160)) return false
  }
  return true
}

/** True for the kind of a frame of an upper layer. */
export function isLayerKind(kind: unknown): kind is number {
  return Number.isInteger(kind) && (kind as number) >= layerKinds[0] && (kind as number) <= layerKinds[1]
}

function isTexts(value: unknown, maxItems: number, maxChars: number): value is readonly string[] {
  return Array.isArray(value) && value.length <= maxItems && value.every((item) => isText(item, 1, maxChars))
}

function withMessage(
  inner: unknown,
  to: BootId | undefined,
  decode: DecodeMessage,
  make: (message: unknown) => ClusterFrame,
): ClusterFrame | undefined {
  // An inner frame of a cluster kind would let a carrier nest without bound.
  if (!Array.isArray(inner) || !isLayerKind(inner[0])) return undefined
  const message = decode(inner, to)
  return message === undefined ? undefined : make(message)
}

function encodeMember(member: Member): unknown[] {
  const fields = encodeInfo(member.info)
  fields.push(encodePhase(member.phase), member.incarnation, member.suspect)
  if (member.info.halted === true) fields.push(true)
  return fields
}

function decodeMember(raw: unknown): Member | undefined {
  if (!Array.isArray(raw)) return undefined
  const fields: readonly unknown[] = raw
  const info = decodeInfo(fields)
  const phase = decodePhase(fields[9])
  const incarnation = fields[10]
  const suspect = fields[11]
  if (!info || !phase || !isCount(incarnation) || typeof suspect !== 'boolean') return undefined
  return { info: withHalted(info, fields[12]), phase, incarnation, suspect }
}

function decodeMembers(raw: unknown): Member[] | undefined {
  if (!Array.isArray(raw) || raw.length > frameLimits.members) return undefined
  const members: Member[] = []
  for (const item of raw) {
    const member = decodeMember(item)
    if (!member) return undefined
    members.push(member)
  }
  return members
}
