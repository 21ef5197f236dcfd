/** The search: a text as it is written, in any case. `name-1` finds no `name-12`. */

export type Matcher = (...texts: readonly string[]) => boolean

/** Undefined for a search of nothing. */
export function matcher(query: string): Matcher | undefined {
  const trimmed = query.trim()
  if (trimmed === '') return undefined
  const escaped = trimmed.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+')
  // A number is whole on both sides; a word may still be in the writing.
  const before = /^\d/.test(trimmed) ? '(?<!\\d)' : ''
  const after = /\d$/.test(trimmed) ? '(?!\\d)' : ''
  const pattern = new RegExp(before + escaped + after, 'i')
  return (...texts) => texts.some((text) => pattern.test(text))
}

/** The name or slot that a violation is about, if it is about one: what to search for. */
export function subjectOf(text: string): string {
  return /\bslot \d+/.exec(text)?.[0] ?? /\b(?:name|free|group)-\d+/.exec(text)?.[0] ?? ''
}
