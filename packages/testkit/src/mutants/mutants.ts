/**
 * The protocol's rules, each removed in turn: a mutant is a patch on the built JavaScript of the machines. The
 * simulator must catch every one by a named invariant; one that is not caught is a missing check or a needless rule.
 * Each text to find must stand exactly once in its file, so a refactoring that moves a rule says so at once.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Fault } from '../machines/plan.js'
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
  /** The faults under which it is looked for; joins and leaves where not given. */
  readonly faults?: readonly Fault[]
  readonly patches: readonly Patch[]
}

const tracker = '@skep/tracker/core'
const cluster = '@skep/cluster/core'

const calm: readonly Fault[] = ['joins', 'leaves', 'aims']
const lossy: readonly Fault[] = ['joins', 'leaves', 'loss']
const deadly: readonly Fault[] = ['joins', 'crashes', 'deaths']
const ends: readonly Fault[] = ['joins', 'leaves', 'ends']
const torn: readonly Fault[] = ['cuts', 'stalls']
const split: readonly Fault[] = ['policies']

const blind: readonly Fault[] = ['joins', 'discovery', 'formation']

const moving: readonly Fault[] = ['joins', 'leaves', 'handoffs']
const deadlyMoving: readonly Fault[] = ['deaths', 'cuts', 'handoffs']
const lossyMoving: readonly Fault[] = ['joins', 'loss', 'handoffs']

/** A rule that stands in one place. */
function without(
  name: string,
  rule: string,
  faults: readonly Fault[],
  of: Patch['of'],
  file: string,
  find: string,
  replace: string,
): Mutant {
  return { name, rule, faults, patches: [{ of, file, find, replace }] }
}

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
        find: 'state.taking.get(boot)?.acked.has(slot) !== true',
        replace: 'false',
      },
    ],
  },
  {
    name: 'no-join-gate',
    rule: '2: before its gate opens a node takes no slot and registers nothing',
    patches: [{ of: tracker, file: 'tracker.js', find: 'gate: false,', replace: 'gate: true,' }],
  },
  without(
    'gate-ignores-expect',
    '2: nodes that start while there is no cluster wait until they are as many as expected',
    blind,
    cluster,
    'gate.js',
    'state.present >= formation.expect ?',
    'state.present >= 1 ?',
  ),
  without(
    'gate-waits-for-expect-alone',
    '2: where somebody is up already, nobody waits for more',
    ['joins', 'crashes', 'formation'],
    cluster,
    'gate.js',
    'formation === undefined || isFounded(state)',
    'formation === undefined',
  ),
  without(
    'gate-never-tells',
    '2: a node that has not met as many in time says so',
    ['joins', 'crashes', 'formation'],
    cluster,
    'gate.js',
    "out.push({ type: 'notFormed', members: state.present });",
    '',
  ),
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
    faults: calm,
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
    faults: ['joins', 'leaves', 'loss', 'echoes', 'aims'],
    rule: '4.3.2: an ask that was overtaken on a detour does not replace the grant of a later one',
    patches: [{ of: tracker, file: 'grants.js', find: 'ask < grant.ask)', replace: 'false)' }],
  },
  {
    name: 'orphan-to-anyone',
    faults: deadly,
    rule: '4.4: the name of a placed process whose node is gone goes to its restart alone',
    patches: [
      {
        of: tracker,
        file: 'grants.js',
        find: 'if (orphan !== undefined && holder === undefined && message.origin !== orphan.placed?.origin)',
        replace: 'if (false)',
      },
    ],
  },
  without(
    'no-refutation',
    '2: whoever is suspected and lives says so under a higher incarnation',
    torn,
    cluster,
    'table.js',
    'if (!contested || record.incarnation >= MAX_INCARNATION)',
    'if (true)',
  ),
  without(
    'no-indirect-probe',
    '2: before a member is suspected others are asked to probe it',
    ['cuts'],
    cluster,
    'detector.js',
    'probe.asked = askOthers(',
    'probe.asked = (() => [])(',
  ),
  without(
    'condemned-stays',
    '2: a node that is held to be down goes on as another boot',
    torn,
    cluster,
    'table.js',
    'if (state.condemned !== undefined)',
    'if (true)',
  ),
  without(
    'kept-names-are-forgotten',
    '2: who rejoins asks for the names of its live processes again',
    torn,
    tracker,
    'rejoining.js',
    'for (const claim of before.claims.values())',
    'for (const claim of [])',
  ),
  without(
    'loser-does-not-ask',
    "4.3: a loser ends only after the winner's node has said that it runs",
    ['cuts', 'crashes', 'deaths'],
    tracker,
    'asks.js',
    'if (ask.kept !== undefined)\n        return challenge(turn, ask, holder);',
    '',
  ),
  without(
    'loser-stays',
    '4.3: of two claims of one name the loser ends',
    torn,
    tracker,
    'conflicts.js',
    "send(turn, winner.pid.boot, { type: 'running', name, fence: winner.fence, ask, above: own.fence });",
    '',
  ),
  without(
    'hold-before-caught-up',
    '4.3.4: a slot is held only when the logs have reached the acked digests',
    calm,
    tracker,
    'slots.js',
    'if (complete.length === 0 || !caughtUp(turn))',
    'if (complete.length === 0)',
  ),
  without(
    'parts-of-many-moments',
    '4.2: with the parts of a log come the ops since the first one, which bring them to one moment',
    calm,
    tracker,
    'sync.js',
    'for (const op of message.ops)\n        bring(state, image, op);',
    'image.seq += message.ops.length;',
  ),
  without(
    'leave-without-barrier',
    '2: a leaver says bye only when everybody has its log',
    lossy,
    tracker,
    'leaving.js',
    'const handedOver = others.length === 0 && state.heir?.got !== false;',
    'const handedOver = true;',
  ),
  without(
    'id-given-and-kept',
    '3: a leaver gives its clock id away and has none after that',
    calm,
    tracker,
    'ids.js',
    'setId(state, state.lineage, 0);',
    '',
  ),
  without(
    'id-without-its-past',
    '3: a clock id that is granted comes with the greatest event made in its region',
    torn,
    tracker,
    'ids.js',
    'inherit(state, past);\n    send(',
    'send(',
  ),
  without(
    'stamps-begin-anew',
    '3: a stamp comes after all that was made in the region of its id',
    torn,
    tracker,
    'ids.js',
    'if (!sameLineage(stamp.lineage, state.lineage) || itc.leq(event, state.floor))',
    'if (true)',
  ),
  without(
    'grant-of-the-whole-id',
    '3: a donor splits its clock id and keeps one half',
    calm,
    tracker,
    'ids.js',
    'setId(state, state.lineage, mine);',
    '',
  ),
  without(
    'deaf-counter',
    '4.1: a fence counter is never below any counter heard',
    calm,
    tracker,
    'state.js',
    'if (counter > state.counter && counter - state.counter < PLAUSIBLE_LEAP)',
    'if (false)',
  ),
  without(
    'no-strikes',
    '4.1: the removal of a placed name strikes its lower claims in logs of gone boots',
    ['joins', 'leaves', 'crashes'],
    tracker,
    'own.js',
    "const strike = claim.placed?.origin ?? (claimsOf(turn.state.registry, claim.name).length > 1 ? '' : undefined);",
    'const strike = undefined;',
  ),
  without(
    'gaps-are-skipped',
    '4.1: an op is applied only after the one before it; a gap is pulled',
    lossy,
    tracker,
    'sync.js',
    'if (seq > into.seq + 1) {',
    'if (false) {',
  ),
  without(
    'no-digests',
    '4.2: digests tell who is behind: on a new link, and to one peer each second for ever',
    lossy,
    tracker,
    'sync.js',
    'export function sendDigest(turn, to) {',
    'export function sendDigest(turn, to) {\n    if (turn.now > 1500) return;',
  ),
  without(
    'no-grant-check',
    '4.3.2: a grant that stays open is asked after',
    lossy,
    tracker,
    'grants.js',
    'if (now - grant.checkedAt < state.config.limits.grantCheckMs)',
    'if (true)',
  ),
  without(
    'no-ask-again',
    '4.3.3: an ask without an answer is asked again',
    ['cuts', 'crashes'],
    tracker,
    'asks.js',
    'else if (ask.fence === undefined && now - ask.sentAt >= state.config.limits.askAgainMs)',
    'else if (false)',
  ),
  without(
    'gone-claims-stay',
    '4.1: claims of a gone boot are hidden at once',
    deadly,
    tracker,
    'logs.js',
    'log.hidden = true;',
    '',
  ),
  without(
    'no-restart',
    '4.4: placed names of a gone node are started elsewhere',
    deadly,
    tracker,
    'logs.js',
    'registry.orphans.set(name, orphan);',
    ';',
  ),
  without(
    'crashes-are-ends',
    '4.4: a placed process that crashed is started again, by whoever holds the slot, wherever its node goes',
    ends,
    tracker,
    'logs.js',
    "if (!comesBack(claim.placed, claim.placed?.ended?.how ?? 'gone'))",
    "if (claim.placed?.ended !== undefined || !comesBack(claim.placed, 'gone'))",
  ),
  without(
    'temporary-comes-back',
    '4.4: a temporary process ends with its node',
    ['joins', 'crashes', 'ends'],
    tracker,
    'logs.js',
    "if (!comesBack(claim.placed, claim.placed?.ended?.how ?? 'gone'))",
    'if (claim.placed === undefined)',
  ),
  without(
    'failures-stay-behind',
    '4.4: the count of failures goes with the name, from node to node',
    ends,
    tracker,
    'placement.js',
    'const failures = aged(before, now - failedAt, restartOf(starting));',
    'const failures = undefined;',
  ),
  without(
    'ended-claims-stay',
    '4.4: the mark of a process that ended goes when the name is held again',
    ends,
    tracker,
    'conflicts.js',
    'if (own === undefined || winner === undefined || winner.pid.boot === state.self || over) {',
    'if (own === undefined || winner === undefined || winner.pid.boot === state.self || over || hasEnded(own)) {',
  ),
  without(
    'no-given-up-mark',
    '4.4: the mark of a process that ended goes when its restart is given up',
    ends,
    tracker,
    'changes.js',
    'if (endedAt(registry, self, name, undefined) >= own.fence)',
    'if (false)',
  ),
  without(
    'grants-outlive-grantees',
    '4.3.2: a grant ends with the node that it was given to',
    deadly,
    tracker,
    'members.js',
    'if (grant.boot !== boot)',
    'if (true)',
  ),
  {
    name: 'no-yield',
    rule: '4.3.4: a slot is given up as soon as the own view, or the view that a TAKE brings, gives it to another',
    faults: calm,
    patches: [
      { of: tracker, file: 'members.js', find: 'yieldForeign(state);', replace: '' },
      {
        of: tracker,
        file: 'slots.js',
        find: '        yieldSlot(state, slot);\n        yielded.push(slot);',
        replace: '        yielded.push(slot);',
      },
    ],
  },
  without(
    'winner-does-not-wait',
    '5: what a lost member held is left alone until it must have halted',
    split,
    tracker,
    'partition.js',
    'else if (now - loss.since >= takeoverMs(partition))',
    'else',
  ),
  without(
    'loser-does-not-pause',
    '5: who has lost the votes that win pauses what holds a name',
    split,
    tracker,
    'partition.js',
    "turn.out.push({ type: 'halted', on: true });",
    '',
  ),
  without(
    'halted-by-verdicts-alone',
    '5: votes lapse by the clock, whatever the failure detector has found out',
    split,
    tracker,
    'bases.js',
    'until: voter.confirmed + partition.config.pauseMs',
    "until: state.peers.get(boot)?.phase === 'down' ? 0 : Number.POSITIVE_INFINITY",
  ),
  without(
    'half-is-a-majority',
    '5: of two halves one alone goes on',
    split,
    tracker,
    'votes.js',
    'return counted.length === 0 || there[0] === counted[0];',
    'return true;',
  ),
  without(
    'oldest-alone-goes-on',
    '5: an oldest member alone against all others gives way to them (here both go on)',
    split,
    tracker,
    'votes.js',
    'return there.length > 1 || counted.length <= 2;',
    'return true;',
  ),
  without(
    'leavers-still-count',
    '5: whoever left in order, or was replaced, counts no more',
    ['policies', 'joins', 'leaves'],
    tracker,
    'partition.js',
    'partition.gone.add(life);',
    '',
  ),
  without(
    'lost-members-always-count',
    '5: a view that stood becomes the base: who was lost before it counts no more',
    ['policies', 'joins', 'leaves'],
    tracker,
    'bases.js',
    'sameMembers(partition.base.members, members) && partition.pending.length === 0',
    'true',
  ),
  {
    name: 'losers-make-a-base',
    rule: '5: a new base must win in the one before',
    faults: split,
    patches: [
      {
        of: tracker,
        file: 'bases.js',
        find: 'if (now >= partition.until || state.leaving || !state.gate)',
        replace: 'if (state.leaving || !state.gate)',
      },
      {
        of: tracker,
        file: 'bases.js',
        find: `if (!setsOf(partition).every((set) => wins(partition, set, lives)))
        return;
    const top`,
        replace: 'const top',
      },
    ],
  },
  without(
    'proposals-bind-nobody',
    '5: who proposes a base owes a win in it from then on',
    split,
    tracker,
    'votes.js',
    'return base === undefined ? pending : [base, ...pending];',
    'return base === undefined ? [] : [base];',
  ),
  without(
    'slots-of-the-lost-are-taken',
    '5: slots are not taken while a lost member may still grant in them',
    split,
    tracker,
    'slots.js',
    'if (!mayHold(turn)) {',
    'if (false) {',
  ),
  without(
    'grants-to-the-lost-lapse',
    '5: a grant to a lost member stands until that has halted',
    split,
    tracker,
    'members.js',
    'if (!hasStopped(state, boot))',
    'if (false)',
  ),
  without(
    'kept-runs-at-once',
    '5: a process whose name was kept across a rejoin goes on only once that is its own again',
    split,
    tracker,
    'partition.js',
    'if (state.asks.kept.has(name) || state.unasked.has(pid))\n            continue;',
    "if (state.asks.kept.has(name) || state.unasked.has(pid))\n            out.push({ type: 'resumed', pid, name });",
  ),
  without(
    'gone-is-forgotten',
    '2: boots that are down or left are remembered, so that nobody brings them back',
    torn,
    cluster,
    'table.js',
    'if (state.goneAt.size <= maxGone && now - at < rememberGoneMs)',
    'if (false)',
  ),
  without(
    'handoff-over-any-claim',
    '4.4: a target gets the name only in the place of the very claim that was handed over',
    lossyMoving,
    tracker,
    'grants.js',
    `if (claim?.seq === seq)
        return 'now';`,
    `if (claim !== undefined)
        return 'now';`,
  ),
  without(
    'retake-without-asking',
    '4.4: a source whose target says nothing asks the holder of the slot before its process goes on',
    lossyMoving,
    tracker,
    'handoff.js',
    "handoff.stage = 'retake';",
    "return endHandoff(turn, handoff, { code: 'ERR_TIMEOUT', text: '' });",
  ),
  without(
    'pass-at-once',
    '4.4: the claim of the source stands until all members know that of the target',
    moving,
    tracker,
    'passage.js',
    'const late = now - handoff.since >= state.config.limits.knownMs;',
    'const late = true;',
  ),
  without(
    'hand-on-at-once',
    '4.4: a process that has only just come goes on when its source has passed on all',
    moving,
    tracker,
    'handoff.js',
    'if (before !== undefined && !before.hidden && before.claims.get(name)?.seq === from?.seq)',
    'if (false)',
  ),
  without(
    'change-while-moving',
    '4.4: a name that is on its way is changed only when it is there',
    moving,
    tracker,
    'requests.js',
    `if (state.handoffs.has(wish.name))
            return movingFault;`,
    '',
  ),
  without(
    'contest-what-was-passed',
    '4.4: a source does not contest the claim that completes its handoff',
    moving,
    tracker,
    'conflicts.js',
    "const over = state.leaving || state.handoffs.get(name)?.stage === 'pass';",
    'const over = state.leaving;',
  ),
  without(
    'keep-what-was-passed',
    '2: a node that rejoins keeps no process that it has handed over',
    deadlyMoving,
    tracker,
    'rejoining.js',
    'if (passed.has(claim.name) || hasEnded(claim))',
    'if (hasEnded(claim))',
  ),
  without(
    'leave-before-empty',
    '4.4: a node that drains leaves when nothing is on its way any more',
    moving,
    tracker,
    'handoff.js',
    'if (draining.told || draining.queue.length > 0 || handoffs.size > 0 || isComing(state))',
    'if (draining.told || draining.queue.length > 0)',
  ),
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
