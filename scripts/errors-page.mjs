/**
 * The text of docs/errors.md from the table of error codes.
 * @param {Readonly<Record<string, { readonly meaning: string, readonly retryable: boolean }>>} codes
 */
export function errorsPage(codes) {
  const rows = Object.entries(codes).map(
    ([code, { meaning, retryable }]) =>
      `| \`${code}\` | ${meaning.replaceAll('|', '\\|')} | ${retryable ? 'yes' : 'no'} |`,
  )
  return `# Error codes

Every error that Skep raises is a \`SkepError\`. Its \`code\` is stable, so tell errors apart by it and not by class or text.
\`sent\` says whether the work may have been done: \`'no'\` (it never left this node), \`'maybe'\`, or \`'yes'\`.
\`retryable\` says whether the same request may succeed later without a change by the caller; whether it may be sent
again is for \`sent\` to say.

| code | meaning | retryable |
| --- | --- | --- |
${rows.join('\n')}

This page is made from the table in the sources by \`npm run build && node scripts/docs.mjs\`.
`
}
