/**
 * TypeScript source without its comments and with its string and template texts emptied, so that a word found in it
 * is code. Line breaks stay, so line numbers hold. Expressions inside template literals are code and stay.
 */
export function codeOnly(source: string): string {
  let out = ''
  let at = 0
  /** For each open `${`, how many `{` are open inside it. */
  const templates: number[] = []
  const keepLines = (text: string) => text.replace(/[^\n]/g, '')
  const template = () => {
    const end = /^(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(`|\$\{)/.exec(source.slice(at))
    if (!end) throw new Error('a template literal does not end')
    out += keepLines(end[0])
    at += end[0].length
    if (end[1] === '`') out += '`'
    else {
      out += '${'
      templates.push(0)
    }
  }
  while (at < source.length) {
    const rest = source.slice(at)
    const hidden =
      /^(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/)/.exec(rest) ??
      /^(?:'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*")/.exec(rest) ??
      (regexMayStart(out) ? /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/.exec(rest) : null)
    if (hidden) {
      const comment = hidden[0].startsWith('//') || hidden[0].startsWith('/*')
      out += comment ? ` ${keepLines(hidden[0])}` : "''"
      at += hidden[0].length
      continue
    }
    const char = source[at++]
    out += char
    const depth = templates.at(-1)
    if (char === '`') template()
    else if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1
    else if (depth !== undefined && char === '}') {
      if (depth > 0) templates[templates.length - 1] = depth - 1
      else {
        templates.pop()
        template()
      }
    }
  }
  return out
}

/** A slash after an operator, an opening bracket or `return` starts a regular expression; after a value it divides. */
function regexMayStart(before: string): boolean {
  const code = before.trimEnd()
  return code === '' || /[(,=:[!&|?{};+\-*%<>~^]$|\b(?:return|typeof|case|in|of)$/.test(code)
}
