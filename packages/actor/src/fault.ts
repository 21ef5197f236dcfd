/**
 * Errors as values: taken apart for the wire or a copy, and put together again. An error keeps its name, message, code,
 * cause, stack and own fields; its class only where it is one of the language's own or Skep's.
 */
import { type ErrorCode, errorCodes, SkepError } from '@skep/cluster'

export interface ErrorParts {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Own fields that show, such as `code`. */
  readonly fields: Record<string, unknown>
  /** Own fields that do not show: `cause`, and `errors` of an AggregateError. */
  readonly hidden: Record<string, unknown>
}

const hiddenKeys = ['cause', 'errors', 'remoteStack', 'sent', 'retryable'] as const
const builtin: ReadonlySet<string> = new Set(['name', 'message', 'stack'])

export function errorParts(error: Error): ErrorParts {
  const fields: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(error)) if (!builtin.has(key)) fields[key] = value
  // Also where it is the class that says it: by an accessor, or for all its errors, as DOMException does.
  const { code } = error as { readonly code?: unknown }
  if (code !== undefined) fields.code = code
  const hidden: Record<string, unknown> = {}
  for (const key of hiddenKeys) {
    if (Object.hasOwn(error, key) && !Object.hasOwn(fields, key))
      hidden[key] = (error as unknown as Record<string, unknown>)[key]
  }
  const { name, message, stack } = error
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : String(message),
    stack: typeof stack === 'string' ? stack : undefined,
    fields,
    hidden,
  }
}

const classes: Record<string, new (message: string) => Error> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

export function decodeError(parts: ErrorParts): Error {
  const error = emptyError(parts)
  if (error.name !== parts.name) hide(error, 'name', parts.name)
  for (const [key, value] of Object.entries(parts.fields)) {
    if (!builtin.has(key))
      Object.defineProperty(error, key, { value, enumerable: true, configurable: true, writable: true })
  }
  for (const key of hiddenKeys) if (Object.hasOwn(parts.hidden, key)) hide(error, key, parts.hidden[key])
  hide(error, 'stack', parts.stack ?? `${parts.name}: ${parts.message}`)
  return error
}

function emptyError({ name, message, fields }: ErrorParts): Error {
  const skep = name === 'SkepError' && typeof fields.code === 'string' && Object.hasOwn(errorCodes, fields.code)
  // The stack is that of the original: making one here would only cost time.
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    if (skep) return new SkepError(fields.code as ErrorCode, message)
    if (name === 'AggregateError') return new AggregateError([], message)
    return new (Object.hasOwn(classes, name) ? (classes[name] ?? Error) : Error)(message)
  } finally {
    Error.stackTraceLimit = limit
  }
}

function hide(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: false, configurable: true, writable: true })
}

/**
 * What the caller gets for something an actor threw: an error with the original's name, message, code and fields, its
 * stack also as `remoteStack`, and in its own stack a last line that says which actor of which node it came through (one
 * for each that passed it on). The lines of the stack are those of the process that threw: mapped to sources where that
 * runs with `--enable-source-maps`. ERR_ACTOR as code where it had none, and `sent: 'yes'` since the method ran. An error of
 * Skep that the actor passed on (from a call of its own) keeps its code but gets that `sent` too: it says nothing about
 * whether *this* call ran. Nor do fields of that name of the actor's own error: callers rely on them.
 */
export function actorError(thrown: unknown, where: string, node: string | undefined): Error {
  if (!(thrown instanceof Error)) {
    const text = typeof thrown === 'string' ? thrown : typeof thrown
    return new SkepError(
      'ERR_ACTOR',
      `${where} threw something that is no Error: ${text}; throw an Error, which has a stack and a code`,
      {
        cause: thrown,
        sent: 'yes',
      },
    )
  }
  const { stack } = thrown
  hide(thrown, 'remoteStack', stack)
  if (node !== undefined) hide(thrown, 'stack', `${stack}\n    at ${where} (on node ${node})`)
  const fields = thrown as unknown as Record<string, unknown>
  if (fields.code === undefined)
    Object.defineProperty(thrown, 'code', { value: 'ERR_ACTOR', enumerable: true, configurable: true, writable: true })
  const isSkep = thrown instanceof SkepError
  setField(thrown, 'sent', 'yes', isSkep)
  if (!isSkep) hide(thrown, 'retryable', false)
  return thrown
}

function setField(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true })
}
