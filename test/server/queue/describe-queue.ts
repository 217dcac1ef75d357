import { spawnSync } from 'node:child_process';
import { describe } from '@jest/globals';

/** Without redis-server these tests cannot run; where they must, they fail. */
const isThere = spawnSync('redis-server', ['--version']).status === 0;

/** `describe` for what needs redis-server. */
export function describeQueue(name: string, body: () => void): void {
  if (isThere || process.env.CI) return void describe(name, body);
  describe.skip(`${name} (redis-server is not installed: apt-get install redis-server)`, body);
}
