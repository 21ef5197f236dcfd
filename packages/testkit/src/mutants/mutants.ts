/**
 * The protocol's rules, each removed in turn: a mutant is a patch on the built JavaScript of the machines. The
 * simulator must catch every one by a named invariant; one that is not caught is a missing check or a needless rule.
 * Each text to find must stand exactly once in its file, so a refactoring that moves a rule says so at once.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { applyPatch, type LocatedPatch } from './mutation.js'

export interface Patch {
  readonly of: '@skep/cluster/core' | '@skep/tracker/core'
  /** Beside the package's `core/index.js`. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  /** The rule that it removes, and where PROTOCOL.md states it. */
  readonly rule: string
  readonly patches: readonly Patch[]
}

const tracker = '@skep/tracker/core'

export const mutants: readonly Mutant[] = [
  {
    name: 'park-while-syncing',
    rule: '4.2: a pull is answered at once (here as in Swarm: parked until the own sync, with one chosen partner, ends)',
    patches: [
      {
        of: tracker,
        file: 'tracker.js',
        find: `function onMessage(turn, from, message) {
    const { state } = turn;
`,
        replace: `function onMessage(turn, from, message) {
    const { state } = turn;
    if (message.type === 'pull' && !state.ready && from !== state.partner) {
        (state.parked ??= []).push([from, message]);
        return;
    }
    if (from === state.partner && (message.reply === true || message.type === 'state')) state.partnerAnswered = true;
`,
      },
      {
        of: tracker,
        file: 'tracker.js',
        find: `    if (!isSynced(state))
        return;
    state.ready = true;
`,
        replace: `    if (!isSynced(state))
        return;
    if (state.view.members.length > 1 && state.partnerAnswered !== true) {
        if (state.partner === undefined || !state.links.has(state.partner)) {
            state.partner = [...state.links][state.self.charCodeAt(1) % state.links.size];
            const message = { type: 'pull', boot: state.partner, have: 0 };
            if (state.partner !== undefined) turn.out.push({ type: 'send', to: state.partner, message, carry: false, relay: true });
        }
        return;
    }
    state.ready = true;
    for (const [from, message] of state.parked ?? []) onPull(turn, from, message);
`,
      },
    ],
  },
  {
    name: 'shared-seed',
    rule: '3: every node boots in a lineage of its own (here as in Swarm: all start from one seed)',
    patches: [
      {
        of: tracker,
        file: 'tracker.js',
        find: 'lineage: { epoch: 0, genesis: self },',
        replace: "lineage: { epoch: 1, genesis: 'all' },",
      },
    ],
  },
  {
    name: 'no-take',
    rule: '4.3.4: an owner holds a slot only after every member has yielded it',
    patches: [
      {
        of: tracker,
        file: 'slots.js',
        find: 'state.taking.get(boot)?.acked[slot] === 1',
        replace: 'true',
      },
    ],
  },
  {
    name: 'no-join-gate',
    rule: '2: before its gate opens a node takes no slot and registers nothing',
    patches: [{ of: tracker, file: 'tracker.js', find: 'gate: false,', replace: 'gate: true,' }],
  },
  {
    name: 'no-digest-in-ack',
    rule: '4.3.4: an ack brings a digest, and the logs reach it before the slot is held',
    patches: [
      {
        of: tracker,
        file: 'slots.js',
        find: 'entries: yielded.length === 0 ? [] : toldDigest(state),',
        replace: 'entries: [],',
      },
    ],
  },
  {
    name: 'take-without-leavers',
    rule: '4.3.4: a leaver is asked too until it has left: what it wrote last may be known to it alone',
    patches: [{ of: tracker, file: 'slots.js', find: "if (peer.phase === 'leaving')", replace: 'if (false)' }],
  },
  {
    name: 'any-grant',
    rule: '4.3.3: a claimant uses a grant only for its latest ask',
    patches: [{ of: tracker, file: 'asks.js', find: 'ask.number === number && ', replace: '' }],
  },
  {
    name: 'late-ask-replaces-grant',
    rule: '4.3.2: an ask that was overtaken on a detour does not replace the grant of a later one',
    patches: [{ of: tracker, file: 'grants.js', find: 'ask < grant.ask)', replace: 'false)' }],
  },
  {
    name: 'orphan-to-anyone',
    rule: '4.4: the name of a placed process whose node is gone goes to its restart alone',
    patches: [
      {
        of: tracker,
        file: 'grants.js',
        find: 'if (orphan !== undefined && message.origin !== orphan.placed?.origin)',
        replace: 'if (false)',
      },
    ],
  },
]

/** The patches with the URLs of their modules, each proved to fit. Throws where one does not. */
export function locate(mutant: Mutant): LocatedPatch[] {
  const located = mutant.patches.map(({ of, file, find, replace }) => ({
    url: new URL(file, import.meta.resolve(of)).href,
    find,
    replace,
  }))
  for (const url of new Set(located.map((patch) => patch.url))) {
    const source = readFileSync(fileURLToPath(url), 'utf8')
    located.filter((patch) => patch.url === url).reduce(applyPatch, source)
  }
  return located
}
