import { defineConfig } from 'vitest/config'

/** Tests run the sources of every package, never what was built: the `@skep/source` condition of each `exports` map. */
export default defineConfig({
  ssr: { resolve: { conditions: ['@skep/source'] } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts', 'scripts/test/**/*.test.ts'],
    setupFiles: ['scripts/test-setup.mjs'],
    testTimeout: 120_000,
  },
})
