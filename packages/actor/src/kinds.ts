/**
 * The kinds of actors that one node knows, each with its latest code: those that it starts when it is asked to, and all
 * that were ever used on it, which refs from others can be made of.
 */
import { type OwnPlacement, ownRule, type PlacementRule, type Tracker } from '@skep/tracker'
import { codeOf } from './define.js'
import type { ActorCode, AnyActor } from './definition.js'

/** The id of the node's own strategy of placement: no kind has it. */
const nodeWide = ''

type Placement = PlacementRule | OwnPlacement

export class Kinds {
  readonly #tracker: Pick<Tracker, 'definePlacement'>
  readonly #listed = new Map<string, ActorCode>()
  /** Those and all that were ever used here. */
  readonly #known = new Map<string, ActorCode>()
  /** The latest code of kinds that were reloaded. */
  readonly #reloaded = new Map<string, ActorCode>()
  /** Where placed actors start whose definition does not say. */
  readonly #placement: PlacementRule | undefined

  /** `actors`: those that it starts when it is asked to. TypeError where two are of one kind. */
  constructor(
    tracker: Pick<Tracker, 'definePlacement'>,
    actors: readonly AnyActor[],
    placement: Placement | undefined,
  ) {
    this.#tracker = tracker
    this.#placement = this.#ruleFor(nodeWide, placement)
    for (const definition of actors) {
      const actor = codeOf(definition)
      if (this.#listed.has(actor.kind))
        throw new TypeError(`actors: there are two definitions of kind '${actor.kind}': rename one`)
      this.#listed.set(actor.kind, actor)
      this.know(actor)
    }
  }

  /** What this node starts when it is asked to. */
  get listed(): readonly string[] {
    return [...this.#listed.keys()].sort()
  }

  listedAs(kind: string): ActorCode | undefined {
    return this.#listed.get(kind)
  }

  knownAs(kind: string): ActorCode | undefined {
    return this.#known.get(kind)
  }

  /**
   * Remember a definition, so that refs to its kind can arrive here. The first one of a kind stays; gives what is to be
   * used in its place, where it was reloaded.
   */
  know(given: ActorCode): ActorCode {
    const actor = this.#reloaded.get(given.kind) ?? given
    if (this.#known.has(actor.kind)) return actor
    this.#known.set(actor.kind, actor)
    this.#ruleFor(actor.kind, actor.placement)
    return actor
  }

  /** From here on this is the code of its kind. TypeError where that is not known. */
  reload(code: ActorCode): void {
    const { kind } = code
    if (!this.#known.has(kind))
      throw new TypeError(`reload: this node knows no actors of kind '${kind}'; list it in actors, or start one first`)
    this.#reloaded.set(kind, code)
    this.#known.set(kind, code)
    if (this.#listed.has(kind)) this.#listed.set(kind, code)
    this.#ruleFor(kind, code.placement)
  }

  /** A function of the user's own becomes known to the tracker under this id. */
  #ruleFor(id: string, placement: Placement | undefined): PlacementRule | undefined {
    return typeof placement === 'function' ? this.#tracker.definePlacement(id, placement) : placement
  }

  /** Where this actor is started when it is placed. */
  ruleOf({ kind, placement }: ActorCode): PlacementRule | undefined {
    return typeof placement === 'function' ? ownRule(kind) : (placement ?? this.#placement)
  }
}
