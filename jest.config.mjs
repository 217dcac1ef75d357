export default {
  testEnvironment: 'node',
  testSequencer: '<rootDir>/test/longest-first.mjs',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/(build|dist|prebuilds|release|\\.cmake-build[^/]*)/'],
  // Only what hangs should fail: small models take seconds, and minutes on a machine that does much else.
  testTimeout: 900_000,
  // Jest would leave a core free, which on two leaves one. What was loaded for suites stays in a process, up to gigabytes.
  maxWorkers: '100%',
  workerIdleMemoryLimit: '1GB',
  extensionsToTreatAsEsm: ['.ts'],
  // NodeNext wants './x.js' in imports; the sources are './x.ts'.
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // Examples name the package; tests run its sources.
    '^deepcache$': '<rootDir>/lib/index.ts',
    '^deepcache/(schedulers|evaluate|server|ai)$': '<rootDir>/lib/entries/$1.ts',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
};
