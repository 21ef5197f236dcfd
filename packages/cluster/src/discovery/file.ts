/**
 * Files as a source of hints: small, perhaps not there, perhaps replaced at any moment.
 */
import { constants, watch } from 'node:fs'
import { open } from 'node:fs/promises'

/** The text of a small file. Throws where it is missing, no plain file, or larger than `maxBytes`. */
export async function readSmallFile(path: string, maxBytes: number): Promise<string> {
  // Without O_NONBLOCK the open of a pipe waits for its writer.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${path} is not a file`)
    // Its size may change while it is read, so it is not asked for.
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length <= maxBytes; length += read) {
      read = (await file.read(buffer, length, buffer.length - length)).bytesRead
    }
    if (length > maxBytes) throw new Error(`${path} is larger than ${maxBytes} bytes`)
    return buffer.toString('utf8', 0, length)
  } finally {
    await file.close()
  }
}

/**
 * Calls `changed` with the name of what changed in the directory, where the system tells it. Watching is a courtesy of
 * the system (it may be refused, or end): who watches must poll too.
 */
export function watchDirectory(directory: string, changed: (name: string | null) => void): () => void {
  try {
    const watcher = watch(directory, (_event, name) => changed(name))
    watcher.on('error', () => watcher.close())
    return () => watcher.close()
  } catch {
    return () => {}
  }
}
