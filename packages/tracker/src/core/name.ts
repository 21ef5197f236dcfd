/**
 * Which strings may be names (and group names): 1 to 512 bytes of UTF-8, compared as they are, without control
 * characters; the prefix `skep.` is kept for Skep itself. Asked at the edge on both sides: of what a user gives, and
 * of what a peer sends.
 */

/** Longest name in bytes of UTF-8: a name stands in every frame, log and index that speaks of it. */
export const nameMaxBytes = 512

/** Names that begin so belong to Skep itself. */
export const reservedPrefix = 'skep.'

/** What is wrong with this name, as the end of a sentence that begins with the name; undefined when nothing is. */
export function nameFault(name: unknown): string | undefined {
  if (typeof name !== 'string') return `is not a string but ${name === null ? 'null' : typeof name}`
  if (name.startsWith(reservedPrefix)) return `begins with '${reservedPrefix}', which is reserved`
  return wireNameFault(name)
}

/** The same without the rule of the prefix: reserved names are sent between nodes as any other. */
export function wireNameFault(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > nameMaxBytes) return `is longer than ${nameMaxBytes} bytes`
  const bytes = utf8Length(name)
  // A lone surrogate has no UTF-8: two such names would become one on the wire.
  if (bytes === undefined) return 'is not well-formed Unicode'
  if (bytes > nameMaxBytes) return `has ${bytes} bytes, more than ${nameMaxBytes}`
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i)
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) return 'contains a control character'
  }
  return undefined
}

/** Bytes of the string in UTF-8; undefined when it has a surrogate without its other half. */
export function utf8Length(text: string): number | undefined {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = text.charCodeAt(i + 1)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return undefined
    // A pair is two units and four bytes.
    i += 1
  }
  return bytes
}
