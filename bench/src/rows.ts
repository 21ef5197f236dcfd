/** The rows of the table by name, in the order in which they run. */
import { localCall, remoteCall } from './calls.js'
import { cores } from './cores.js'
import { growth } from './growth.js'
import { join } from './join.js'
import { massExit } from './mass-exit.js'
import { memory } from './memory.js'
import { register, spawn } from './names.js'
import { ring } from './ring.js'
import type { Row } from './row.js'
import { coldstarts, failover, handoff } from './scenarios.js'
import { whereis } from './whereis.js'

export const rows: Readonly<Record<string, Row>> = {
  ring,
  whereis,
  localCall,
  remoteCall,
  cores,
  register,
  spawn,
  join,
  massExit,
  growth,
  memory,
  failover,
  coldstart: coldstarts,
  handoff,
}
