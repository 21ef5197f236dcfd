/**
 * A name server that does what real ones do at their worst: refuse, fail, keep silent, send rubbish. It knows its records
 * and nothing else of DNS (RFC 1035 by hand, UDP, no compression but of the question's own name).
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'

/** What it does instead of answering truly; the numbers are RCODEs. */
export const troubles = {
  nxdomain: 3,
  servfail: 2,
  refused: 5,
  notimp: 4,
  formerr: 1,
  silent: undefined,
  rubbish: undefined,
} as const
export type Trouble = keyof typeof troubles

const types = { A: 1, AAAA: 28, SRV: 33 } as const
type Type = keyof typeof types

export class NameServer {
  /** `A web.test` and so on, in the order asked. */
  readonly asked: string[] = []
  /** By lower-case name without the last dot: IP addresses, or `port target` for SRV. */
  readonly records = new Map<string, readonly string[]>()
  /** By question (`AAAA web.test`), type (`AAAA`) or for all (``). */
  readonly troubles = new Map<string, Trouble>()
  readonly address: string
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    this.address = `127.0.0.1:${socket.address().port}`
    socket.on('message', (question, from) => this.#answer(question, from))
  }

  static start(): Promise<NameServer> {
    const socket = createSocket('udp4')
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, '127.0.0.1', () => resolve(new NameServer(socket)))
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }

  #answer(message: Buffer, from: RemoteInfo): void {
    const { name, type, end } = questionOf(message)
    const question = `${type} ${name}`
    this.asked.push(question)
    const trouble = this.troubles.get(question) ?? this.troubles.get(type ?? '') ?? this.troubles.get('')
    if (trouble === 'silent') return
    if (trouble === 'rubbish') return this.#send(Buffer.from('this is no answer at all'), from)
    const records = this.records.get(name)
    const answers = trouble || type === undefined ? [] : (records ?? []).flatMap((record) => encode(type, record))
    const rcode = trouble ? troubles[trouble] : records === undefined ? troubles.nxdomain : 0
    const header = Buffer.from(message.subarray(0, 12))
    header.writeUInt16BE(0x8180 | rcode, 2)
    header.writeUInt16BE(answers.length, 6)
    header.writeUInt32BE(0, 8)
    this.#send(Buffer.concat([header, message.subarray(12, end), ...answers]), from)
  }

  #send(answer: Buffer, { port, address }: RemoteInfo): void {
    this.#socket.send(answer, port, address)
  }
}

function questionOf(message: Buffer): { name: string; type: Type | undefined; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length).toLowerCase())
    at += 1 + length
  }
  const number = message.readUInt16BE(at + 1)
  const type = (Object.keys(types) as Type[]).find((one) => types[one] === number)
  return { name: labels.join('.'), type, end: at + 5 }
}

/** The record, where it is of this type; named by a pointer to the question. */
function encode(type: Type, record: string): Buffer[] {
  const [port, target] = record.split(' ')
  const kind = target !== undefined ? 'SRV' : isIPv6(record) ? 'AAAA' : 'A'
  if (kind !== type) return []
  const data = target !== undefined ? serviceData(Number(port), target) : addressData(record)
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(types[type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(data.length, 10)
  return [Buffer.concat([head, data])]
}

function serviceData(port: number, target: string): Buffer {
  const numbers = Buffer.alloc(6)
  numbers.writeUInt16BE(port, 4)
  const labels = target.split('.').filter((label) => label !== '')
  const names = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  return Buffer.concat([numbers, ...names, Buffer.from([0])])
}

function addressData(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const [left = '', right = ''] = address.split('::')
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number(`0x${group}`)))
  const [before, after] = [groups(left), groups(right)]
  const all = [...before, ...Array(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}
