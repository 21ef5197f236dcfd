import { expect, test } from 'vitest'
import { joinMember, type Member } from '../src/core/member.js'

const info = {
  boot: 'b',
  name: 'n',
  address: '10.0.0.1:1',
  roles: ['x'],
  weight: 1,
  cordoned: false,
  startedAt: 0,
  kinds: ['counter'],
  version: '1',
}
const member: Member = { info, phase: 'up', incarnation: 1, suspect: true }

test('a refutation that came over the wire keeps the very description, so that no view changes by it', () => {
  const refuted = { ...member, info: structuredClone(info), incarnation: 2, suspect: false }
  const joined = joinMember(member, refuted)
  expect(joined).toEqual(refuted)
  expect(joined.info).toBe(info)
})

test.each([{ kinds: ['counter', 'room'] }, { roles: [] }, { weight: 0 }, { cordoned: true }, { version: '2' }])(
  'a description that says something else replaces the old one: %j',
  (change) => {
    const described = { ...member, info: { ...info, ...change }, incarnation: 2, suspect: false }
    expect(joinMember(member, described).info).toBe(described.info)
  },
)
