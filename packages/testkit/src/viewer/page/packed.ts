/**
 * A recording as it travels inside its page: frames as rows, and each different text once, since the frames of one
 * broadcast say the same.
 */
import { type Family, type Frame, families, type Recording } from './recording.js'

/** From, to, sent, arrived (-1: never), type (a text), family, text. */
type Row = readonly [number, number, number, number, number, number, number]

export interface Packed extends Omit<Recording, 'frames'> {
  readonly texts: readonly string[]
  readonly rows: readonly Row[]
}

export function pack(recording: Recording): Packed {
  const places = new Map<string, number>()
  const place = (text: string): number => {
    const known = places.get(text)
    if (known !== undefined) return known
    places.set(text, places.size)
    return places.size - 1
  }
  const { frames, ...rest } = recording
  const rows = frames.map((frame): Row => {
    const { from, to, sent, arrived, type, family, text } = frame
    return [from, to, sent, arrived ?? -1, place(type), families.indexOf(family), place(text)]
  })
  return { ...rest, rows, texts: [...places.keys()] }
}

export function unpack(packed: Packed): Recording {
  const { rows, texts, ...rest } = packed
  const frames = rows.map(
    ([from, to, sent, arrived, type, family, text]): Frame => ({
      from,
      to,
      sent,
      arrived: arrived < 0 ? undefined : arrived,
      type: texts[type] ?? '',
      family: families[family] as Family,
      text: texts[text] ?? '',
    }),
  )
  return { ...rest, frames }
}
