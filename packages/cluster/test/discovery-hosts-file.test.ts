import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostsFile } from '../src/index.js'
import { ask, first, type Running } from './strategies.js'

describe('hostsFile', () => {
  let folder: string
  let path: string
  const running: Running[] = []
  const start = (options: Parameters<typeof hostsFile>[1] = {}): Running => {
    const one = ask(hostsFile(path, options))
    running.push(one)
    return one
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skep-test-'))
    path = join(folder, 'hosts')
  })
  afterEach(async () => {
    await Promise.allSettled(running.splice(0).map((one) => one.end()))
    rmSync(folder, { recursive: true, force: true })
  })

  it('has a host with or without a port in each line, comments and blank lines', async () => {
    writeFileSync(
      path,
      '\ufeff# peers\r\n10.0.0.1\r\n  10.0.0.2:80  # the second\n\nweb.test\nweb.test:81\nfd00::1\n[fd00::2]\n[fd00::3]:82\n10.0.0.1',
    )
    expect(await first(hostsFile(path, { port: 7 }))).toEqual([
      '10.0.0.1:7',
      '10.0.0.2:80',
      'web.test:7',
      'web.test:81',
      '[fd00::1]:7',
      '[fd00::2]:7',
      '[fd00::3]:82',
    ])
  })

  it('takes the port of the node itself where none is given, and an empty file for an answer', async () => {
    writeFileSync(path, 'a.test')
    const peers = start()
    expect(await peers.next()).toEqual(['a.test:1'])
    writeFileSync(path, '')
    expect(await peers.next()).toEqual([])
  })

  it.each([
    ['watched', 100_000],
    ['read now and then', 20],
  ])('notices that a file is written anew, replaced by a rename, and replaced again: %s', async (_, intervalMs) => {
    writeFileSync(path, 'a.test:1')
    const peers = start({ intervalMs })
    expect(await peers.next()).toEqual(['a.test:1'])
    for (const name of ['b', 'c', 'd']) {
      writeFileSync(join(folder, 'draft'), `${name}.test:1`)
      renameSync(join(folder, 'draft'), path)
      expect(await peers.next()).toEqual([`${name}.test:1`])
    }
    writeFileSync(path, 'e.test:1')
    // Whoever writes in place may be read in the middle.
    for (let answer: readonly string[] = []; answer[0] !== 'e.test:1'; ) answer = await peers.next()
  })

  it('notices that the directory behind it changes, as in a mounted ConfigMap', async () => {
    for (const name of ['one', 'two']) {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'hosts'), `${name}.test:1`)
    }
    symlinkSync('one', join(folder, '..data'))
    symlinkSync(join('..data', 'hosts'), path)
    const peers = start({ intervalMs: 100_000 })
    expect(await peers.next()).toEqual(['one.test:1'])
    symlinkSync('two', join(folder, '..next'))
    renameSync(join(folder, '..next'), join(folder, '..data'))
    expect(await peers.next()).toEqual(['two.test:1'])
  })

  it('answers anew when asked', async () => {
    writeFileSync(path, 'a.test:1')
    const peers = start({ intervalMs: 100_000 })
    await peers.next()
    const answer = peers.next()
    peers.refresh()
    expect(await answer).toEqual(['a.test:1'])
  })

  it('fails where the file is missing, removed, no file, unreadable or huge', async () => {
    await expect(first(hostsFile(path))).rejects.toThrow('ENOENT')
    writeFileSync(path, 'a.test:1')
    const peers = start()
    await peers.next()
    const next = peers.next()
    rmSync(path)
    await expect(next).rejects.toThrow('ENOENT')
    mkdirSync(path)
    await expect(first(hostsFile(path))).rejects.toThrow(/is not a file|EISDIR/)
    rmSync(path, { recursive: true })
    symlinkSync('/dev/zero', path)
    await expect(first(hostsFile(path))).rejects.toThrow('is not a file')
    rmSync(path)
    writeFileSync(path, '# nothing\n'.repeat(30_000))
    await expect(first(hostsFile(path))).rejects.toThrow('is larger than 262144 bytes')
  })

  it.skipIf(process.getuid?.() === 0)('fails where the file may not be read', async () => {
    writeFileSync(path, 'a.test:1')
    chmodSync(path, 0)
    await expect(first(hostsFile(path))).rejects.toThrow('EACCES')
  })

  it('tells of bad lines once a minute, shortly, and has the others', async () => {
    const bad = [
      'a b',
      '10.0.0.1:x',
      '[fd00::1',
      ':80',
      'http://a.test',
      '\0\0',
      'x'.repeat(100_000),
      '1:2:3:4:5:6:7:8:9',
    ]
    writeFileSync(path, ['a.test:1', ...bad, 'b.test:1'].join('\n'))
    const peers = start()
    expect(await peers.next()).toEqual(['a.test:1', 'b.test:1'])
    writeFileSync(path, [...bad, 'c.test:1'].join('\n'))
    for (let answer: readonly string[] = []; answer[0] !== 'c.test:1'; ) answer = await peers.next()
    const told = peers.log.lines.filter(({ text }) => /are no addresses/.test(text))
    expect(told.map(({ text }) => text)).toEqual([
      "8 lines are no addresses and passed over, the first: line 2: 'a b' in 'a b:1' is not a host name",
    ])
  })

  it('passes over rubbish of any kind', async () => {
    writeFileSync(path, Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 31) & 0xff)))
    expect(await first(hostsFile(path))).toBeInstanceOf(Array)
  })
})
