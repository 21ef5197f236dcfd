/**
 * What stands for sending where both actors are on one node: the copy that the wire would have made, without the wire.
 */

import { Pid } from '@skep/tracker'
import { decodeError, errorParts } from './fault.js'
import type { RefSource } from './values.js'
import { bytesOf, classify, defineField, isPrimitive, type Kind, maxDepth, refusedFor, unsendable } from './values.js'

/**
 * What the other side would get over the wire, without the wire. Immutable values are their own copy: primitives,
 * pids, and frozen objects and arrays that hold nothing else. Throws Refused as `pack` does.
 */
export function copy(value: unknown, root: string, refs: RefSource): unknown {
  if (isPrimitive(value)) return value
  try {
    return copied(value, refs, 0)
  } catch (error) {
    throw refusedFor(error, value, root, 0)
  }
}

/** The arguments of a call, each copied in place: the array is the call's own. */
export function copyAll(values: unknown[], root: string, refs: RefSource): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!isPrimitive(value)) values[i] = copy(value, `${root}[${i}]`, refs)
  }
}

function copied(value: unknown, refs: RefSource, depth: number): unknown {
  if (typeof value !== 'object') {
    if (typeof value === 'function' || typeof value === 'symbol') throw unsendable
    return value
  }
  if (value === null) return value
  if (depth >= maxDepth) throw unsendable
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Object.prototype) return copyPlain(value as Record<string, unknown>, refs, depth + 1)
  if (prototype === Array.prototype && Array.isArray(value)) return copyArray(value, refs, depth + 1)
  return copyOther(classify(value), refs, depth + 1)
}

function copyPlain(value: Record<string, unknown>, refs: RefSource, depth: number): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  let same = true
  // Faster than a list of the keys; what somebody may have hung on Object.prototype is not the value's.
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue
    const item = value[key]
    const kept = isPrimitive(item) ? item : copied(item, refs, depth)
    if (kept !== item) same = false
    if (key === '__proto__') defineField(plain, key, kept)
    else plain[key] = kept
  }
  return same && Object.isFrozen(value) ? value : plain
}

function copyArray(value: readonly unknown[], refs: RefSource, depth: number): readonly unknown[] {
  const array: unknown[] = []
  let same = true
  for (let i = 0; i < value.length; i++) {
    const item = value[i]
    const kept = isPrimitive(item) ? item : copied(item, refs, depth)
    if (kept !== item) same = false
    array.push(kept)
  }
  return same && Object.isFrozen(value) ? value : array
}

function copyOther(kind: Kind, refs: RefSource, depth: number): unknown {
  switch (kind.is) {
    case 'plain':
      return copyPlain(kind.value, refs, depth)
    case 'array':
      return copyArray(kind.value, refs, depth)
    case 'date':
      return new Date(kind.value.getTime())
    case 'map': {
      const map = new Map<unknown, unknown>()
      for (const [key, item] of kind.value) map.set(copied(key, refs, depth), copied(item, refs, depth))
      return map
    }
    case 'set': {
      const set = new Set<unknown>()
      for (const item of kind.value) set.add(copied(item, refs, depth))
      return set
    }
    case 'regexp': {
      const pattern = new RegExp(kind.value.source, kind.value.flags)
      pattern.lastIndex = kind.value.lastIndex
      return pattern
    }
    case 'binary': {
      const bytes = bytesOf(kind.value)
      const own = new Uint8Array(bytes.length)
      own.set(bytes)
      return kind.make(own.buffer)
    }
    case 'error': {
      const parts = errorParts(kind.value)
      const fields = copyPlain(parts.fields, refs, depth)
      const hidden = copyPlain(parts.hidden, refs, depth)
      return decodeError({ ...parts, fields, hidden })
    }
    case 'pid':
      return kind.value
    case 'ref':
      return refs.rebind(kind.value)
    case 'nothing':
      throw unsendable
  }
}

/**
 * Freeze instead of copying: plain objects and arrays are frozen where they are, all the way down, and shared. What
 * cannot be frozen (Map, Date, bytes ...) is copied together with what holds it.
 */
export function freeze(value: unknown, root: string, refs: RefSource): unknown {
  if (isPrimitive(value)) return value
  if (freezable(value, 0)) return frozen(value)
  return copy(value, root, refs)
}

function freezable(value: unknown, depth: number): boolean {
  if (isPrimitive(value)) return true
  if (typeof value !== 'object' || value === null || depth >= maxDepth) return false
  if (value instanceof Pid) return true
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false
  return Object.values(value).every((item) => freezable(item, depth + 1))
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || (Object.isFrozen(value) && value instanceof Pid)) return value
  for (const item of Object.values(value)) frozen(item)
  return Object.freeze(value)
}
