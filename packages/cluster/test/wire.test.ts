/** Several frames in one message, and what is none. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesTogether, joinFrames, maxTogetherBytes, maxWireBytes, packFrame, splitFrames } from '../src/wire.js'

function joined(frames: readonly Buffer[]): Buffer {
  return joinFrames(
    frames,
    frames.reduce((sum, frame) => sum + bytesTogether(frame), 0),
  )
}

function split(message: Buffer): { readonly isWhole: boolean; readonly frames: Buffer[] } {
  const frames: Buffer[] = []
  const isWhole = splitFrames(message, (frame) => frames.push(frame) > 0)
  return { isWhole, frames }
}

const frames = fc.array(
  fc.array(fc.oneof(fc.nat(), fc.string(), fc.constant(null))).map((fields) => packFrame([40, ...fields])),
  { minLength: 2, maxLength: 20 },
)

describe('a message of several frames', () => {
  it('gives them as they were and in their order', () => {
    fc.assert(
      fc.property(frames, (all) => {
        expect(split(joined(all))).toEqual({ isWhole: true, frames: all })
      }),
    )
  })

  it('that was cut anywhere, or has more than its frames, gives those before and is not whole', () => {
    fc.assert(
      fc.property(frames, fc.nat(), (all, seed) => {
        const message = joined(all)
        const at = 1 + (seed % (message.length - 1))
        const { isWhole, frames: read } = split(message.subarray(0, at))
        expect(read).toEqual(all.slice(0, read.length))
        expect(isWhole).toBe(at === 1 + read.reduce((sum, frame) => sum + bytesTogether(frame), 0))
        expect(split(Buffer.concat([message, Buffer.from([0])]))).toEqual({ isWhole: false, frames: all })
      }),
    )
  })

  it('may be as large as its limit, which a peer takes', () => {
    const largest = Buffer.alloc(maxTogetherBytes - 2, 1)
    expect(bytesTogether(largest)).toBe(maxTogetherBytes)
    const message = joined([largest])
    expect(message.length).toBeLessThanOrEqual(maxWireBytes)
    expect(split(message).frames).toEqual([largest])
  })

  it('ends at a frame of no bytes, and where its reader has enough', () => {
    const frame = packFrame([40, 'one'])
    expect(split(joined([frame, Buffer.alloc(0), frame]))).toEqual({ isWhole: false, frames: [frame] })
    expect(split(Buffer.concat([Buffer.from([0xc1]), Buffer.alloc(maxTogetherBytes - 1)])).frames).toEqual([])
    let read = 0
    expect(splitFrames(joined([frame, frame, frame]), () => ++read < 2)).toBe(false)
    expect(read).toBe(2)
  })

  it('is not taken for one frame, nor one frame for it', () => {
    const frame = packFrame([40, 'one'])
    expect(split(frame).frames).toEqual([frame])
    // No value of msgpack begins so.
    expect(joined([frame, frame])[0]).toBe(0xc1)
  })
})
