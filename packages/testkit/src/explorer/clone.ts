/**
 * A deep copy of a machine's state, for a search that goes several ways from one state. What is frozen is shared: a
 * frame is frozen when it is sent, so claims, members and whatever else travels are copied never. Aliases within the
 * state stay aliases, and objects keep their prototypes.
 */

/** `kept`: objects that the copy refers to as the original does. */
export function cloneState<T>(value: T, kept: readonly object[] = []): T {
  return copy(value, new Map(kept.map((one) => [one, one]))) as T
}

function copy(value: unknown, known: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  const before = known.get(value)
  if (before !== undefined) return before
  if (Array.isArray(value)) {
    const list: unknown[] = new Array(value.length)
    known.set(value, list)
    for (let i = 0; i < value.length; i++) list[i] = copy(value[i], known)
    return list
  }
  if (value instanceof Map) {
    const map = new Map()
    known.set(value, map)
    for (const [key, inner] of value) map.set(key, copy(inner, known))
    return map
  }
  if (value instanceof Set) {
    // Of boots, numbers and names: nothing to copy within.
    const set = new Set(value)
    known.set(value, set)
    return set
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = (value as Uint8Array).slice()
    known.set(value, bytes)
    return bytes
  }
  return copyRecord(value as Record<string, unknown>, known)
}

function copyRecord(value: Record<string, unknown>, known: Map<object, object>): object {
  // The rest of an iterator cannot be copied; in a tiny world none outlives the step that made it.
  if (typeof value.next === 'function') throw new Error('a state with an open iterator cannot be copied')
  const prototype = Object.getPrototypeOf(value)
  // A spread keeps the shape of the original; an object filled field by field would be a slow dictionary.
  const record = prototype === Object.prototype ? { ...value } : Object.assign(Object.create(prototype), value)
  known.set(value, record)
  for (const key in record) {
    const inner = record[key]
    if (typeof inner === 'object' && inner !== null) record[key] = copy(inner, known)
  }
  return record
}
